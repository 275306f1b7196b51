"""The catalogue of Cloud Recording's event types, and what their details say, decoded leniently.

Docs-Source `event-types/cloud-recording.mdx` and its older pages; the Cloud Transcoder's
`ncs-events.mdx`. Open: the console offers more events than the documents list, so an unknown number
has no name and its details are `Unknown`. A field of an odd type is None (text: empty); nothing
here raises. Where pages and real traffic spell a key differently, both are read.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from agora_sidecar.agora import details as d
from agora_sidecar.agora import fields
from agora_sidecar.agora.details import Details, Raw
from agora_sidecar.agora.recordings import File, read_files

CLOUD_RECORDING = 3
"""productId of Cloud Recording (and of extension services, and of the Cloud Transcoder)."""


def _int(raw: Raw, *keys: str) -> int | None:
    values = (fields.number(raw.get(key)) for key in keys)
    return next((value for value in values if value is not None), None)


def _text(raw: Raw, *keys: str) -> str:
    values = (fields.text(raw.get(key)) for key in keys)
    return next((value for value in values if value), "")


def _files(raw: Raw) -> tuple[File, ...]:
    return read_files(raw.get("fileList"))


def _error(raw: Raw) -> Details:
    return d.CloudRecordingError(
        module=_int(raw, "module"),
        error_level=_int(raw, "errorLevel"),
        error_code=_int(raw, "errorCode"),
        stat=_int(raw, "stat"),
        error_msg=_text(raw, "errorMsg"),
    )


def _slice(raw: Raw) -> Details:
    return d.SliceStart(
        start_ms=_int(raw, "startUtcMs"),
        discontinue_ms=_int(raw, "discontinueUtcMs"),
        stream_uid=fields.uid(raw.get("streamUid")),
        track_type=_text(raw, "trackType"),
        mixed_all_user=fields.flag(raw.get("mixedAllUser")),
    )


def _stream(kind: str) -> Callable[[Raw], Details]:
    def state(raw: Raw) -> Details:
        # the pages write UtcMs, real traffic has utcMs
        at = _int(raw, "utcMs", "UtcMs")
        return d.StreamState(kind, fields.uid(raw.get("streamUid")), _int(raw, "state"), at)

    return state


def _vod(raw: Raw) -> Details:
    return d.VodStarted(_text(fields.mapping(raw.get("aliVodInfo")), "videoId"))


def _web_stopped(raw: Raw) -> Details:
    message = _text(raw, "message").strip()  # one of the table's has a space behind it
    return d.WebRecorderStopped(_int(raw, "code"), message, _text(raw, "details"), _files(raw))


def _transcoded(raw: Raw) -> Details:
    uids = raw.get("uids")
    users = [user for user in uids if isinstance(user, Mapping)] if isinstance(uids, list) else []
    return d.TranscoderCompleted(
        _text(raw, "result"), tuple(f for user in users for f in _files(user))
    )


def _download_failed(raw: Raw) -> Details:
    names = tuple(name for name in _text(raw, "fileName", "filename").split(";") if name)
    return d.DownloadFailed(_int(raw, "vendor"), _int(raw, "region"), _text(raw, "bucket"), names)


_EVENTS: Mapping[int, tuple[str, Callable[[Raw], Details]]] = {
    1: ("cloud_recording_error", _error),
    2: (
        "cloud_recording_warning",
        lambda raw: d.CloudRecordingWarning(_int(raw, "module"), _int(raw, "warnCode")),
    ),
    3: (
        "cloud_recording_status_update",
        lambda raw: d.StatusUpdate(_int(raw, "status"), _int(raw, "recordingMode"), _files(raw)),
    ),
    4: ("cloud_recording_file_infos", lambda raw: d.FileInfos(_files(raw))),
    11: ("session_exit", lambda raw: d.SessionExit(_int(raw, "exitStatus"))),
    12: ("session_failover", lambda raw: d.SessionFailover(fields.uid(raw.get("newUid")))),
    30: ("uploader_started", lambda raw: d.UploaderStarted(_int(raw, "status"))),
    31: ("uploaded", lambda raw: d.Uploaded(_int(raw, "status"), _files(raw))),
    32: ("backuped", lambda raw: d.Backuped(_int(raw, "status"), _files(raw))),
    33: ("uploading_progress", lambda raw: d.UploadingProgress(_int(raw, "progress"))),
    40: ("recorder_started", lambda raw: d.RecorderStarted(_int(raw, "status"))),
    41: ("recorder_leave", lambda raw: d.RecorderLeave(_int(raw, "leaveCode"))),
    42: ("recorder_slice_start", _slice),
    43: ("recorder_audio_stream_state_changed", _stream("audio")),
    44: ("recorder_video_stream_state_changed", _stream("video")),
    45: ("recorder_snapshot_file", lambda raw: d.SnapshotFile(_text(raw, "fileName", "filename"))),
    60: ("vod_started", _vod),
    61: ("vod_triggered", lambda _: d.VodTriggered()),
    70: ("web_recorder_started", lambda raw: d.WebRecorderStarted(_int(raw, "recorderStartTime"))),
    71: ("web_recorder_stopped", _web_stopped),
    72: ("web_recorder_capability_limit", lambda raw: d.CapabilityLimit(_text(raw, "limitType"))),
    73: ("web_recorder_reload", lambda raw: d.WebRecorderReload(_text(raw, "reason"))),
    80: ("transcoder_started", lambda _: d.TranscoderStarted()),
    81: ("transcoder_completed", _transcoded),
    90: ("download_failed", _download_failed),
    100: (
        "rtmp_publish_status",
        lambda raw: d.RtmpPublishStatus(_text(raw, "rtmpUrl"), _text(raw, "status")),
    ),
    1001: (
        "postpone_transcode_final_result",
        lambda raw: d.PostponeTranscodeFinalResult(_text(raw, "result"), _files(raw)),
    ),
    # the Cloud Transcoder's share the productId and have another payload (no cname, uid, sid)
    110: ("cloud_transcoder_started", d.Unknown),
    111: ("cloud_transcoder_stopped", d.Unknown),
    112: ("cloud_transcoder_status", d.Unknown),
    113: ("cloud_transcoder_updated", d.Unknown),
}

NAMES: Mapping[int, str] = MappingProxyType({kind: name for kind, (name, _) in _EVENTS.items()})
"""eventType to the vendor's msgName."""


def event_name(product_id: int, event_type: int) -> str | None:
    """The vendor's `msgName` of this event type, or None where none is documented."""
    return NAMES.get(event_type) if product_id == CLOUD_RECORDING else None


def decode_details(product_id: int, event_type: int, raw: Raw) -> Details:
    """What the details of an event say; never raises."""
    if product_id != CLOUD_RECORDING or event_type not in _EVENTS:
        return d.Unknown(raw)
    return _EVENTS[event_type][1](raw)
