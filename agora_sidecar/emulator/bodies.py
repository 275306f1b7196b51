"""Bodies with the vendor's real shapes: callbacks, file lists, answers of query and stop (pure).

Source: Docs-Source `event-types/cloud-recording.mdx`, `cloud-recording/rest-api/{query,stop}.mdx`;
`utcMs` and the top-level `sid` as observed in real traffic, not as documented.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

CLOUD_RECORDING = 3
SERVICE, RECORDER, UPLOADER = 0, 1, 2
"""`serviceType`: the module that speaks."""

EVENTS: dict[str, tuple[int, int]] = {
    "cloud_recording_file_infos": (4, SERVICE),
    "session_exit": (11, SERVICE),
    "uploader_started": (30, UPLOADER),
    "uploaded": (31, UPLOADER),
    "backuped": (32, UPLOADER),
    "uploading_progress": (33, UPLOADER),
    "recorder_started": (40, RECORDER),
    "recorder_leave": (41, RECORDER),
    "recorder_slice_start": (42, RECORDER),
    "recorder_audio_stream_state_changed": (43, RECORDER),
    "recorder_video_stream_state_changed": (44, RECORDER),
}
"""`msgName`: `eventType` and `serviceType`."""

MESSAGE_NAMES = {
    "file_infos": "cloud_recording_file_infos",
    "slice_start": "recorder_slice_start",
    "audio_stream_state_changed": "recorder_audio_stream_state_changed",
    "video_stream_state_changed": "recorder_video_stream_state_changed",
}
"""The task's names of events where the vendor's are longer."""

FORBIDDEN_IN_NAMES = str.maketrans(dict.fromkeys("!@#$%^&*()+_.=[]{}~|,;:?<>/ \\", "-"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What bodies say about one recording; `slice_start_ms` is None until there is media."""

    cname: str
    uid: str
    resource_id: str
    sid: str
    mp4: bool
    prefix: str
    backup: bool
    slice_start_ms: int | None = None

    @property
    def upload(self) -> str:
        """How its upload ends: `uploaded` or `backuped`."""
        return "backuped" if self.backup else "uploaded"

    @property
    def index(self) -> str:
        """The M3U8's name."""
        return f"{self.stem}.m3u8"

    @property
    def stem(self) -> str:
        """The beginning of every file's name; characters that names cannot have become `-`."""
        return f"{self.prefix}{self.sid}_{self.cname.translate(FORBIDDEN_IN_NAMES)}"


def message_name(event: str, facts: Facts) -> str:
    """The vendor's `msgName` of one of the task's events."""
    return facts.upload if event == "upload" else MESSAGE_NAMES.get(event, event)


def files(facts: Facts) -> list[dict[str, Any]]:
    """The files as objects; none before there is media."""
    if facts.slice_start_ms is None:
        return []
    names = [f"{facts.stem}_0.mp4", facts.index] if facts.mp4 else [facts.index]
    return [
        {
            "fileName": name,
            "trackType": "audio_and_video",
            "uid": "0",
            "mixedAllUser": True,
            "isPlayable": True,
            "sliceStartTime": facts.slice_start_ms,
        }
        for name in names
    ]


def details(
    name: str, facts: Facts, *, leave_code: int, hearing: bool, now_ms: int
) -> dict[str, Any]:
    """`payload.details` of one event."""
    own: dict[str, dict[str, Any]] = {
        "cloud_recording_file_infos": {"fileList": facts.index},
        "session_exit": {"exitStatus": 0},
        "uploaded": {"status": 0, "fileList": files(facts)},
        "backuped": {"status": 0, "fileList": files(facts)},
        # all that is recorded is uploaded at once: while it runs, one slice is always behind
        "uploading_progress": {"progress": 9375},
        "recorder_leave": {"leaveCode": leave_code},
        "recorder_slice_start": {
            "startUtcMs": facts.slice_start_ms,
            "discontinueUtcMs": facts.slice_start_ms,
            "mixedAllUser": True,
            "streamUid": "0",
            "trackType": "audio_and_video",
        },
    }
    if name.endswith("_stream_state_changed"):
        state = {"streamUid": "0", "state": 0 if hearing else 1, "utcMs": now_ms}
        return {"msgName": name, **state}
    return {"msgName": name, **own.get(name, {"status": 0})}


def payload(
    name: str, facts: Facts, *, sequence: int, sent_ms: int, details: dict[str, Any]
) -> dict[str, Any]:
    """`payload` of one event; `sent_ms` is when it happened."""
    return {
        "cname": facts.cname,
        "uid": facts.uid,
        "sid": facts.sid,
        "sequence": sequence,
        "sendts": sent_ms,
        "serviceType": EVENTS[name][1],
        "serviceScene": "rtc_record",
        "details": details,
    }


def envelope(
    notice_id: str, *, event_type: int, notify_ms: int, payload: dict[str, Any], sid: str | None
) -> bytes:
    """One attempt's body; `sid` stands at the top level only sometimes."""
    body: dict[str, Any] = {
        "noticeId": notice_id,
        "productId": CLOUD_RECORDING,
        "eventType": event_type,
        "notifyMs": notify_ms,
        "payload": payload,
    }
    return msgspec.json.encode({**body, "sid": sid} if sid else body)


def query_answer(facts: Facts, status: int) -> dict[str, Any]:
    """What `query` says of a composite recording."""
    response = {"status": status, **_file_list(facts)}
    if facts.slice_start_ms is not None:
        response["sliceStartTime"] = facts.slice_start_ms
    return {**_frame(facts), "serverResponse": response}


def stop_answer(facts: Facts, *, left: bool) -> dict[str, Any]:
    """What `stop` says; the upload's outcome is known only once the task has `left`."""
    outcome = facts.upload if left else "unknown"
    return {**_frame(facts), "serverResponse": {**_file_list(facts), "uploadingStatus": outcome}}


def start_answer(facts: Facts) -> dict[str, Any]:
    """What `start` says."""
    return _frame(facts)


def _frame(facts: Facts) -> dict[str, Any]:
    return {
        "cname": facts.cname,
        "uid": facts.uid,
        "resourceId": facts.resource_id,
        "sid": facts.sid,
    }


def _file_list(facts: Facts) -> dict[str, Any]:
    if facts.mp4:
        return {"fileListMode": "json", "fileList": files(facts)}
    return {"fileListMode": "string", "fileList": facts.index if files(facts) else ""}
