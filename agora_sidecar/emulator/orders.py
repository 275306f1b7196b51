"""Bodies read into forms, and the rules over several fields of them (pure).

Source: the Cloud Recording RESTful API reference; refusals in `answers`.
"""

from typing import Any, TypeVar

import msgspec

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX, WEB
from agora_sidecar.emulator.answers import Refusal, bad_channel, bad_layout, bad_parameter
from agora_sidecar.emulator.forms import (
    AcquireBody,
    LayoutBody,
    StartBody,
    StopBody,
    StreamSubscribe,
    UpdateBody,
    UpdateRequest,
)
from agora_sidecar.emulator.start_forms import (
    Form,
    PageParam,
    PushParam,
    RecordingConfig,
    StartRequest,
)

Body = AcquireBody | StartBody | UpdateBody | LayoutBody | StopBody
F = TypeVar("F", bound=Form)
B = TypeVar("B", AcquireBody, StartBody, UpdateBody, LayoutBody, StopBody)

MAX_CNAME_BYTES = 1024
LARGEST_UID = 2**32 - 1
MAX_PREFIX = 128
MAX_PIXELS = 1920 * 1080
MAX_REASON = 300
"""Characters of a reason: it may quote what was sent."""
IN_CHANNEL_NAMES = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&()+-:;<=.>?@[]^_{}~,|"
)
PAGE_SERVICE, PUSH_SERVICE = "web_recorder_service", "rtmp_publish_service"
SCENE_OF_PAGES, SCENE_POSTPONED = 1, 2

_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {
    form: msgspec.json.Decoder(form)
    for form in (AcquireBody, StartBody, UpdateBody, LayoutBody, StopBody)
}


def read(body: bytes, form: type[B]) -> B:
    """A body as its form.

    Raises:
        Refusal: 400 with code 2, or 1028 for a layout.
    """
    try:
        read: B = _DECODERS[form].decode(body)
    except msgspec.ValidationError as error:
        raise _unreadable(str(error)[:MAX_REASON], layout=form is LayoutBody) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_parameter("body is not valid JSON") from None
    if len(read.cname.encode()) > MAX_CNAME_BYTES:
        raise bad_parameter("cname must be a String of 1 to 1024 bytes")
    if not read.uid.isdigit() or int(read.uid) > LARGEST_UID:
        raise bad_parameter("uid must be a String holding an integer from 1 to 4294967295")
    return read


def _unreadable(problem: str, *, layout: bool) -> Refusal:
    if "resourceExpiredHour" in problem:
        return bad_parameter("Acquire: invalid resourceExpiredHour value!")
    if layout and "$.clientRequest" in problem:
        return bad_layout(problem)
    return bad_parameter(problem)


def check_acquire(body: AcquireBody) -> None:
    """The rules of `acquire` over several fields.

    Raises:
        Refusal: 400 with code 401: a channel that cannot exist.
    """
    of_channel = body.client_request.scene != SCENE_OF_PAGES
    if of_channel and not IN_CHANNEL_NAMES.issuperset(body.cname):
        raise bad_channel()


def check_start(request: StartRequest, *, mode: str, scene: int) -> None:
    """The rules of `start` over several fields.

    Raises:
        Refusal: 400 with code 2.
    """
    problem = (
        _scene(request, mode=mode, scene=scene)
        or _storage(request)
        or _files(request, mode)
        or (_page(request) if mode == WEB else _streams(request, mode))
    )
    if problem:
        raise bad_parameter(problem)


def page(request: StartRequest) -> PageParam | None:
    """What `web_recorder_service` is to do, or None."""
    return _service(request, PAGE_SERVICE, PageParam)


def push(request: StartRequest) -> PushParam | None:
    """What `rtmp_publish_service` is to do, or None."""
    return _service(request, PUSH_SERVICE, PushParam)


def check_update(
    request: UpdateRequest, *, mode: str, tracks: tuple[str, ...], pushes: bool
) -> None:
    """The rules of `update`: what the mode, and what was started, forbid.

    Raises:
        Refusal: 400 with code 2.
    """
    if request.stream_subscribe is not None and mode == WEB:
        raise bad_parameter("streamSubscribe is for the modes individual and mix")
    if request.web_recording_config is not None and mode != WEB:
        raise bad_parameter("webRecordingConfig is for the mode web")
    if request.rtmp_publish_config is not None and not pushes:
        raise bad_parameter("rtmpPublishConfig: this recording does not push to a CDN")
    if request.stream_subscribe is not None:
        _refuse(_subscription(request.stream_subscribe, tracks))


def prefix(request: StartRequest) -> str:
    """`fileNamePrefix` joined, with a slash behind it unless it is empty."""
    return "".join(f"{part}/" for part in request.storage_config.file_name_prefix)


def _refuse(problem: str) -> None:
    if problem:
        raise bad_parameter(problem)


def _scene(request: StartRequest, *, mode: str, scene: int) -> str:
    apps = request.apps_collection
    postponed = apps is not None and apps.combination_policy == "postpone_transcoding"
    if (mode == WEB) != (scene == SCENE_OF_PAGES):
        return "mode web needs the scene 1 at acquire, and no other mode has it"
    if scene == SCENE_POSTPONED and (mode != INDIVIDUAL or not postponed):
        return "scene 2 needs the mode individual and appsCollection"
    if postponed and scene != SCENE_POSTPONED:
        return "appsCollection: postpone_transcoding needs the scene 2 at acquire"
    return ""


def _storage(request: StartRequest) -> str:
    if len(prefix(request)) > MAX_PREFIX:
        return "storageConfig.fileNamePrefix must not exceed 128 characters"
    return ""


def _files(request: StartRequest, mode: str) -> str:
    config = request.recording_file_config
    kinds = config.av_file_type if config is not None else ["hls"]
    if "hls" not in kinds or (mode == INDIVIDUAL and len(kinds) > 1):
        return f"recordingFileConfig.avFileType: {kinds} cannot be recorded in the mode {mode}"
    if request.snapshot_config is not None and mode != INDIVIDUAL:
        return "snapshotConfig is for the mode individual"
    return ""


def _streams(request: StartRequest, mode: str) -> str:
    config = request.recording_config or RecordingConfig()
    if config.decryption_mode and not config.secret:
        return "recordingConfig.secret is needed with decryptionMode"
    if config.decryption_mode in {7, 8} and not config.salt:
        return "recordingConfig.salt is needed with decryptionMode 7 and 8"
    if config.transcoding_config is not None and mode == MIX:
        layout = config.transcoding_config
        if layout.mixed_video_layout == 3 and not layout.layout_config:
            return "transcodingConfig.layoutConfig is needed with mixedVideoLayout 3"
    if request.snapshot_config is not None and config.stream_types == 0:
        return "snapshotConfig needs video: streamTypes 1 or 2"
    return _lists(config)


def _lists(config: RecordingConfig) -> str:
    audio = (
        config.subscribe_audio_uids,
        _first(config.un_subscribe_audio_uids, config.unsubscribe_audio_uids),
    )
    video = (
        config.subscribe_video_uids,
        _first(config.un_subscribe_video_uids, config.unsubscribe_video_uids),
    )
    if None not in audio or None not in video:
        return "only one of subscribe…Uids and unSubscribe…Uids can be set"
    if audio != (None, None) and config.stream_types == 1:
        return "audio uids cannot be set with streamTypes 1"
    if video != (None, None) and config.stream_types == 0:
        return "video uids cannot be set with streamTypes 0"
    return ""


def _subscription(wish: StreamSubscribe, tracks: tuple[str, ...]) -> str:
    audio, video = wish.audio_uid_list, wish.video_uid_list
    if audio is not None and "audio" not in tracks:
        return "audioUidList cannot be set with streamTypes 1"
    if video is not None and "video" not in tracks:
        return "videoUidList cannot be set with streamTypes 0"
    both_audio = audio is not None and (
        audio.subscribe_audio_uids is not None
        and _first(audio.un_subscribe_audio_uids, audio.unsubscribe_audio_uids) is not None
    )
    both_video = video is not None and (
        video.subscribe_video_uids is not None
        and _first(video.un_subscribe_video_uids, video.unsubscribe_video_uids) is not None
    )
    if both_audio or both_video:
        return "only one of subscribe…Uids and unSubscribe…Uids can be set"
    return ""


def _first(*lists: list[str] | None) -> list[str] | None:
    return next((found for found in lists if found is not None), None)


def _page(request: StartRequest) -> str:
    found = page(request)
    push(request)
    if found is None:
        return "services not selected!"
    if found.video_width * found.video_height > MAX_PIXELS:
        return "videoWidth x videoHeight must not exceed 1920 x 1080"
    return ""


def _service(request: StartRequest, name: str, form: type[F]) -> F | None:
    config = request.extension_service_config
    services = config.extension_services if config is not None else []
    for number, service in enumerate(services):
        if service.service_name == name:
            try:
                return msgspec.convert(service.service_param, form)
            except msgspec.ValidationError as error:
                where = f"extensionServices[{number}].serviceParam"
                raise bad_parameter(f"{where}: {error}"[:MAX_REASON]) from None
    return None
