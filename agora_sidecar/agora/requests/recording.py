"""What is recorded of a channel: `recordingConfig`, files, screenshots, postponed transcoding."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX
from agora_sidecar.agora.requests.layout import TranscodingConfig
from agora_sidecar.agora.requests.model import Model, Together
from agora_sidecar.agora.requests.rules import (
    SECRET,
    UID,
    Also,
    Between,
    Entries,
    In,
    OneOf,
    That,
    is_base64,
    is_uid,
    matching,
)

AUDIO, VIDEO, AUDIO_AND_VIDEO = 0, 1, 2
EVERYBODY = "#allstream#"
MAX_UIDS = 32
POSTPONE = "postpone_transcoding"
TRANSCODE, MIX_AUDIO = "postponeTranscoding", "audioMix"

AUDIO_LISTS = ("subscribeAudioUids", "unSubscribeAudioUids")
VIDEO_LISTS = ("subscribeVideoUids", "unSubscribeVideoUids")


def _alone(uids: Any) -> bool:
    return EVERYBODY not in uids or len(uids) == 1


Subscribed = Annotated[
    Sequence[
        Annotated[
            str,
            That(
                f'must be an integer from 1 to 4294967295, as a String, or "{EVERYBODY}"',
                lambda value: value == EVERYBODY or is_uid(value),
                "uid",
            ),
        ]
    ]
    | None,
    Entries(MAX_UIDS),
    That(f'must be ["{EVERYBODY}"] alone, or uids', _alone, "everybody"),
]
_Unsubscribed = Sequence[Annotated[str, UID]] | None
NotAudio = Annotated[_Unsubscribed, Entries(MAX_UIDS), Also(("unsubscribeAudioUids",))]
NotVideo = Annotated[_Unsubscribed, Entries(MAX_UIDS), Also(("unsubscribeVideoUids",))]


def exclusive(pair: tuple[str, str]) -> Together:
    """Only one of the two lists is given."""
    first, second = pair
    return Together(
        "one list",
        second,
        f"cannot be together with {first}",
        lambda o: first in o and second in o,
    )


def _only_with(names: tuple[str, str], stream: int, other: str) -> tuple[Together, ...]:
    return tuple(
        Together(
            "stream's list",
            name,
            f"is only for streamTypes {other}",
            lambda o, name=name: name in o and o.get("streamTypes", AUDIO_AND_VIDEO) == stream,  # type: ignore[misc]
        )
        for name in names
    )


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _mode(config: Mapping[str, Any]) -> Any:
    return config.get("decryptionMode", 0)


class RecordingConfig(Model, frozen=True, kw_only=True):
    """The streams that are subscribed to, and what becomes of them."""

    channel_type: Annotated[int, OneOf((0, 1))]
    decryption_mode: Annotated[int | None, Between(0, 8)] = None
    secret: Annotated[str | None, SECRET] = None
    salt: Annotated[
        str | None, SECRET, That("must be the Base64 of 32 bytes", is_base64(32), "base64")
    ] = None
    max_idle_time: Annotated[int | None, Between(5, 2_592_000)] = None
    stream_types: Annotated[int | None, OneOf((AUDIO, VIDEO, AUDIO_AND_VIDEO))] = None
    video_stream_type: Annotated[int | None, OneOf((0, 1))] = None
    subscribe_audio_uids: Subscribed = None
    un_subscribe_audio_uids: NotAudio = None
    subscribe_video_uids: Subscribed = None
    un_subscribe_video_uids: NotVideo = None
    subscribe_uid_group: Annotated[int | None, Between(0, 5)] = None
    stream_mode: Annotated[
        str | None, In((INDIVIDUAL,)), OneOf(("default", "standard", "original"))
    ] = None
    audio_profile: Annotated[int | None, In((MIX,)), OneOf((0, 1, 2))] = None
    transcoding_config: Annotated[TranscodingConfig | None, In((MIX,))] = None
    private_params: Annotated[str | None, That("must be JSON", _is_json, "json")] = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "secret needed",
            "secret",
            "is required unless decryptionMode is 0",
            lambda o: _mode(o) in range(1, 9) and not o.get("secret"),
        ),
        Together(
            "salt needed",
            "salt",
            "is required with decryptionMode 7 or 8",
            lambda o: _mode(o) in {7, 8} and not o.get("salt"),
        ),
        exclusive(AUDIO_LISTS),
        exclusive(VIDEO_LISTS),
        *_only_with(AUDIO_LISTS, VIDEO, "0 or 2"),
        *_only_with(VIDEO_LISTS, AUDIO, "1 or 2"),
        Together(
            "original audio",
            "streamMode",
            'can be "original" only with streamTypes 0',
            lambda o: (
                o.get("streamMode") == "original" and o.get("streamTypes", AUDIO_AND_VIDEO) != AUDIO
            ),
        ),
    )


_FILE_TYPES = (["hls"], ["hls", "mp4"], ["mp4", "hls"])


class RecordingFileConfig(Model, frozen=True, kw_only=True):
    """The files that a recording makes."""

    av_file_type: Annotated[
        Sequence[Annotated[str, OneOf(("hls", "mp4"))]] | None,
        That('must be ["hls"] or ["hls", "mp4"]', lambda v: v in _FILE_TYPES, "hls"),
        That(
            'must be ["hls"] in individual mode',
            lambda value: "mp4" not in value,
            "individual",
            modes=(INDIVIDUAL,),
        ),
    ] = None


class SnapshotConfig(Model, frozen=True, kw_only=True):
    """Screenshots."""

    capture_interval: Annotated[int | None, Between(5, 3600)] = None
    file_type: Annotated[
        Sequence[str], That('must be ["jpg"]', lambda value: list(value) == ["jpg"], "jpg")
    ]


class AppsCollection(Model, frozen=True, kw_only=True):
    """Whether a recording is worked on after its end."""

    combination_policy: Annotated[str | None, OneOf((POSTPONE, "default"))] = None


class TransConfig(Model, frozen=True, kw_only=True):
    """What is done after the end."""

    trans_mode: Annotated[str, OneOf((TRANSCODE, MIX_AUDIO))]


class Container(Model, frozen=True, kw_only=True):
    """The file that results."""

    format: Annotated[str | None, OneOf(("mp4", "mp3", "m4a", "aac"))] = None


class Audio(Model, frozen=True, kw_only=True):
    """The sound of the file that results; numbers are Strings here."""

    sample_rate: Annotated[str | None, OneOf(("48000", "32000", "16000"))] = None
    bitrate: Annotated[str | None, matching("[1-9][0-9]*", "must be a number, as a String")] = None
    channels: Annotated[str | None, OneOf(("1", "2"))] = None


def transcode_mode(options: Any) -> Any:
    """`transMode` of some `transcodeOptions`, if it is there."""
    config = options.get("transConfig") if isinstance(options, Mapping) else None
    return config.get("transMode") if isinstance(config, Mapping) else None


def _odd_format(options: Mapping[str, Any]) -> bool:
    container = options.get("container")
    found = container.get("format") if isinstance(container, Mapping) else None
    fitting = {TRANSCODE: ("mp4",), MIX_AUDIO: ("mp3", "m4a", "aac")}.get(transcode_mode(options))
    return found is not None and fitting is not None and found not in fitting


class TranscodeOptions(Model, frozen=True, kw_only=True):
    """Postponed transcoding, or mixing of the sound."""

    trans_config: TransConfig
    container: Container | None = None
    audio: Audio | None = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "format fits",
            "container.format",
            'must be "mp4" for postponeTranscoding; "mp3", "m4a" or "aac" for audioMix',
            _odd_format,
        ),
        Together(
            "audio alone",
            "audio",
            'is only for transMode "audioMix"',
            lambda o: bool(o.get("audio")) and transcode_mode(o) == TRANSCODE,
        ),
    )
