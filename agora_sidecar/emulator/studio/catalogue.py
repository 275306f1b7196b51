"""The events that recordings tell: numbers, modules, details (pure).

Source: Docs-Source `event-types/cloud-recording.mdx` and its older pages; `utcMs` as observed in
real traffic. 13, 34, 46 and 47 have numbers and names from other pages, and no documented details.
"""

from typing import Any, NamedTuple

SERVICE, RECORDER, UPLOADER, VOD, WEB, TRANSCODER, DOWNLOADER = 0, 1, 2, 4, 6, 7, 8
"""`serviceType`: the module that speaks."""

Told = tuple[str, dict[str, Any]]
"""An event's `msgName` and its details."""


class Kind(NamedTuple):
    """An event type; `usual` are details for one that is told on demand."""

    number: int
    module: int
    usual: dict[str, Any]


_FILE = {
    "fileName": "x.m3u8",
    "trackType": "audio_and_video",
    "uid": "0",
    "mixedAllUser": True,
    "isPlayable": True,
    "sliceStartTime": 1_700_000_004_000,
}
_STREAM = {"streamUid": "1001", "state": 0, "utcMs": 1_700_000_004_000}
_SLICE = {
    "startUtcMs": 1_700_000_004_000,
    "discontinueUtcMs": 1_700_000_004_000,
    "mixedAllUser": True,
    "streamUid": "0",
    "trackType": "audio_and_video",
}
_TRANSCODED = {"uid": "1001", "result": "success", "fileList": [{"fileName": "x.mp4"}]}
_NOT_FETCHED = {"vendor": 1, "region": 0, "bucket": "b", "fileName": "a.m3u8;b.ts"}
_ERROR = {"module": 1, "errorLevel": 5, "errorCode": 32, "stat": 0, "errorMsg": ""}

CATALOGUE: dict[str, Kind] = {
    "cloud_recording_error": Kind(1, SERVICE, _ERROR),
    "cloud_recording_warning": Kind(2, SERVICE, {"module": 1, "warnCode": 31}),
    "cloud_recording_status_update": Kind(
        3, SERVICE, {"status": 5, "recordingMode": 1, "fileList": "x.m3u8"}
    ),
    "cloud_recording_file_infos": Kind(4, SERVICE, {"fileList": "x.m3u8"}),
    "session_exit": Kind(11, SERVICE, {"exitStatus": 0}),
    "session_failover": Kind(12, SERVICE, {"newUid": 4_000_000_001}),
    "session_registered": Kind(13, SERVICE, {}),
    "uploader_started": Kind(30, UPLOADER, {"status": 0}),
    "uploaded": Kind(31, UPLOADER, {"status": 0, "fileList": [_FILE]}),
    "backuped": Kind(32, UPLOADER, {"status": 0, "fileList": [_FILE]}),
    "uploading_progress": Kind(33, UPLOADER, {"progress": 9375}),
    "sts_expired": Kind(34, UPLOADER, {}),
    "recorder_started": Kind(40, RECORDER, {"status": 0}),
    "recorder_leave": Kind(41, RECORDER, {"leaveCode": 24}),
    "recorder_slice_start": Kind(42, RECORDER, _SLICE),
    "recorder_audio_stream_state_changed": Kind(43, RECORDER, _STREAM),
    "recorder_video_stream_state_changed": Kind(44, RECORDER, _STREAM),
    "recorder_snapshot_file": Kind(45, RECORDER, {"fileName": "x.jpg"}),
    "recorder_audio_info_changed": Kind(46, RECORDER, {}),
    "recorder_video_info_changed": Kind(47, RECORDER, {}),
    "vod_started": Kind(60, VOD, {"aliVodInfo": {"videoId": "v"}}),
    "vod_triggered": Kind(61, VOD, {}),
    "web_recorder_started": Kind(70, WEB, {"recorderStartTime": 1_700_000_004_000}),
    "web_recorder_stopped": Kind(
        71,
        WEB,
        {
            "code": 0,
            "message": "ok",
            "details": "",
            "fileList": [{"filename": "x.m3u8", "sliceStartTime": 1_700_000_004_000}],
        },
    ),
    "web_recorder_capability_limit": Kind(72, WEB, {"limitType": "WebGL"}),
    "web_recorder_reload": Kind(73, WEB, {"reason": "audio_silence"}),
    "transcoder_started": Kind(80, TRANSCODER, {}),
    "transcoder_completed": Kind(81, TRANSCODER, {"result": "all_success", "uids": [_TRANSCODED]}),
    "download_failed": Kind(90, DOWNLOADER, _NOT_FETCHED),
    "rtmp_publish_status": Kind(100, WEB, {"rtmpUrl": "rtmp://h/a/k", "status": "publishing"}),
    "postpone_transcode_final_result": Kind(
        1001, SERVICE, {"result": "total_success", "fileList": [{"fileName": "x.mp4"}]}
    ),
}
"""By `msgName`."""

NAMES: dict[int, str] = {kind.number: name for name, kind in CATALOGUE.items()}
"""`msgName` by `eventType`."""


def tell(name: str, **details: Any) -> Told:
    """An event of the catalogue with these details."""
    return name, {"msgName": name, **details}


def usual(event_type: int) -> Told:
    """An event of the catalogue with details as they usually are."""
    name = NAMES[event_type]
    return tell(name, **CATALOGUE[name].usual)
