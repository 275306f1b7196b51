"""The bodies of `acquire`, `start`, `update`, `updateLayout`, `stop`, and their `clientRequest`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX, WEB
from agora_sidecar.agora.requests.layout import Layout
from agora_sidecar.agora.requests.model import Model, Together
from agora_sidecar.agora.requests.recording import (
    AUDIO,
    AUDIO_AND_VIDEO,
    AUDIO_LISTS,
    MIX_AUDIO,
    POSTPONE,
    VIDEO,
    VIDEO_LISTS,
    AppsCollection,
    NotAudio,
    NotVideo,
    RecordingConfig,
    RecordingFileConfig,
    SnapshotConfig,
    Subscribed,
    TranscodeOptions,
    exclusive,
    transcode_mode,
)
from agora_sidecar.agora.requests.rules import (
    SECRET,
    SOME_TEXT,
    UID,
    Between,
    Bytes,
    Entries,
    In,
    Needed,
    OneOf,
    matching,
)
from agora_sidecar.agora.requests.storage import StorageConfig
from agora_sidecar.agora.requests.web import MAX_OUTPUTS, ExtensionServiceConfig, Output

CHANNEL = (INDIVIDUAL, MIX)
"""The modes that record a channel; the other one records a page."""
COMMON, PAGE, POSTPONED = 0, 1, 2
"""Scenes of `acquire`."""
MODES_OF_SCENE: Mapping[int, tuple[str, ...]] = {
    COMMON: CHANNEL,
    PAGE: (WEB,),
    POSTPONED: (INDIVIDUAL,),
}

Cname = Annotated[
    str,
    Bytes(63, modes=CHANNEL),
    matching(
        r"[A-Za-z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}~,|]*",
        "must have only characters that channel names have, in individual or mix mode",
        name="characters",
        modes=CHANNEL,
    ),
    Bytes(128, modes=(WEB,)),
]
Uid = Annotated[str, UID]


def _inner(request: Mapping[str, Any], *path: str) -> Any:
    value: Any = request
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _streams(request: Mapping[str, Any]) -> Any:
    found = _inner(request, "recordingConfig", "streamTypes")
    return AUDIO_AND_VIDEO if found is None else found


def _audio_without_video(request: Mapping[str, Any]) -> bool:
    config = request.get("recordingConfig")
    if "snapshotConfig" not in request or not isinstance(config, Mapping):
        return False
    return AUDIO_LISTS[0] in config and VIDEO_LISTS[0] not in config


def _postpones(request: Mapping[str, Any]) -> bool:
    return bool(_inner(request, "appsCollection", "combinationPolicy") == POSTPONE)


def _mixes_other_than_audio(request: Mapping[str, Any]) -> bool:
    if transcode_mode(request.get("transcodeOptions")) != MIX_AUDIO:
        return False
    return (_streams(request), _inner(request, "recordingConfig", "streamMode")) != (
        AUDIO,
        "original",
    )


class StartClientRequest(Model, frozen=True, kw_only=True):
    """What is recorded, how, and where to."""

    token: Annotated[str | None, SECRET, In(CHANNEL)] = None
    storage_config: StorageConfig
    recording_config: Annotated[RecordingConfig | None, In(CHANNEL)] = None
    recording_file_config: RecordingFileConfig | None = None
    snapshot_config: Annotated[SnapshotConfig | None, In((INDIVIDUAL,))] = None
    extension_service_config: Annotated[
        ExtensionServiceConfig | None, In((WEB,)), Needed((WEB,))
    ] = None
    apps_collection: Annotated[AppsCollection | None, In((INDIVIDUAL,))] = None
    transcode_options: Annotated[TranscodeOptions | None, In((INDIVIDUAL,))] = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "files needed",
            "recordingFileConfig",
            "is required unless only screenshots are taken",
            lambda o: not {"recordingFileConfig", "snapshotConfig"} & o.keys(),
        ),
        Together(
            "group needed",
            "recordingConfig.subscribeUidGroup",
            "is required in individual mode, unless screenshots are taken",
            lambda o: (
                isinstance(o.get("recordingConfig"), Mapping)
                and "subscribeUidGroup" not in o["recordingConfig"]
                and "snapshotConfig" not in o
            ),
            modes=(INDIVIDUAL,),
        ),
        Together(
            "snapshot's streams",
            "recordingConfig.streamTypes",
            "must be 1 or 2 where screenshots are taken",
            lambda o: "snapshotConfig" in o and _streams(o) not in {VIDEO, AUDIO_AND_VIDEO},
        ),
        Together(
            "snapshot's lists",
            "recordingConfig.subscribeVideoUids",
            "is required with subscribeAudioUids where screenshots are taken",
            _audio_without_video,
        ),
        Together(
            "options needed",
            "transcodeOptions",
            f'is required with combinationPolicy "{POSTPONE}"',
            lambda o: _postpones(o) and "transcodeOptions" not in o,
        ),
        Together(
            "options alone",
            "transcodeOptions",
            f'is only for combinationPolicy "{POSTPONE}"',
            lambda o: "transcodeOptions" in o and not _postpones(o),
        ),
        Together(
            "mixing's streams",
            "transcodeOptions.transConfig.transMode",
            f'can be "{MIX_AUDIO}" only with streamTypes 0 and streamMode "original"',
            _mixes_other_than_audio,
        ),
    )


class AcquireClientRequest(Model, frozen=True, kw_only=True):
    """What a resource id is wanted for."""

    scene: Annotated[int | None, OneOf((COMMON, PAGE, POSTPONED))] = None
    resource_expired_hour: Annotated[int | None, Between(1, 720)] = None
    start_parameter: StartClientRequest | None = None
    exclude_resource_ids: Sequence[Annotated[str, SOME_TEXT]] | None = None
    region: Annotated[str | None, OneOf(("CN", "AP", "EU", "NA"))] = None
    region_affinity: Annotated[int | None, Between(0, 4)] = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "scene 2 postpones",
            "startParameter.appsCollection",
            "is required with scene 2",
            lambda o: (
                o.get("scene") == POSTPONED
                and isinstance(o.get("startParameter"), Mapping)
                and "appsCollection" not in o["startParameter"]
            ),
        ),
        Together(
            "postponing has a scene",
            "startParameter.appsCollection.combinationPolicy",
            f'can be "{POSTPONE}" only with scene 2',
            lambda o: (
                o.get("scene", COMMON) != POSTPONED
                and _inner(o, "startParameter", "appsCollection", "combinationPolicy") == POSTPONE
            ),
        ),
    )


class AudioUidList(Model, frozen=True, kw_only=True):
    """Whose sound is subscribed to from now on."""

    subscribe_audio_uids: Subscribed = None
    un_subscribe_audio_uids: NotAudio = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (exclusive(AUDIO_LISTS),)


class VideoUidList(Model, frozen=True, kw_only=True):
    """Whose picture is subscribed to from now on."""

    subscribe_video_uids: Subscribed = None
    un_subscribe_video_uids: NotVideo = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (exclusive(VIDEO_LISTS),)


class StreamSubscribe(Model, frozen=True, kw_only=True):
    """New lists; each replaces the one before."""

    audio_uid_list: AudioUidList | None = None
    video_uid_list: VideoUidList | None = None


class WebRecordingConfig(Model, frozen=True, kw_only=True):
    """Pause or go on."""

    onhold: bool | None = None


class RtmpPublishConfig(Model, frozen=True, kw_only=True):
    """Where to push from now on."""

    outputs: Annotated[Sequence[Output] | None, Entries(MAX_OUTPUTS)] = None


class UpdateClientRequest(Model, frozen=True, kw_only=True):
    """What changes while a recording runs."""

    stream_subscribe: Annotated[StreamSubscribe | None, In(CHANNEL)] = None
    web_recording_config: Annotated[WebRecordingConfig | None, In((WEB,))] = None
    rtmp_publish_config: Annotated[RtmpPublishConfig | None, In((WEB,))] = None
    storage_config: StorageConfig | None = None


class StopClientRequest(Model, frozen=True, kw_only=True, rename=str):
    """Whether the answer waits for the upload."""

    async_stop: bool | None = None


class AcquireRequest(Model, frozen=True, kw_only=True):
    """The body of `acquire`."""

    cname: Cname
    uid: Uid
    client_request: AcquireClientRequest


class StartRequest(Model, frozen=True, kw_only=True):
    """The body of `start`."""

    cname: Cname
    uid: Uid
    client_request: StartClientRequest


class UpdateRequest(Model, frozen=True, kw_only=True):
    """The body of `update`."""

    cname: Cname
    uid: Uid
    client_request: UpdateClientRequest


class UpdateLayoutRequest(Model, frozen=True, kw_only=True):
    """The body of `updateLayout`."""

    cname: Cname
    uid: Uid
    client_request: Layout


class StopRequest(Model, frozen=True, kw_only=True):
    """The body of `stop`."""

    cname: Cname
    uid: Uid
    client_request: StopClientRequest
