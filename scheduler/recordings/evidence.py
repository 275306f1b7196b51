"""How events, answers and errors are read as evidence about one recording. Pure.

The table of `recordings.md`; event types after Docs-Source `event-types/cloud-recording.mdx`,
answers after `status-codes.mdx` and the advice of `best-practices/integration-best-practices`.
"""

from collections.abc import Callable
from typing import Any

from agora_sidecar.agora import details as told
from agora_sidecar.agora import recordings as status
from agora_sidecar.agora.errors import (
    ApiError,
    LeavingError,
    NoDataError,
    NoWorkerError,
    RefusedError,
)
from agora_sidecar.agora.events import CLOUD_RECORDING, event_name
from agora_sidecar.agora.replies import QueryReply, StopReply
from scheduler.recordings.session import Evidence, Reading, Source

AFTER_THE_END = frozenset({60, 61, 80, 81, 90, 1001})
"""Later processing (VoD, postponed transcoding): tells nothing about the recording itself."""

_ALIVE_TYPES = frozenset({4, 42, 43, 44, 45})

_BY_STATUS = {
    status.NOT_STARTED: Reading.NOT_YET,
    status.INITIALISED: Reading.NOT_YET,
    status.STARTING: Reading.NOT_YET,
    status.PARTLY_READY: Reading.NOT_YET,
    status.READY: Reading.RUNNING,
    status.IN_PROGRESS: Reading.RUNNING,
    status.STOPPING: Reading.LEAVING,
    status.STOPPED: Reading.LEAVING,
    status.EXITED: Reading.EXITING,
    status.ABNORMAL: Reading.ABNORMAL,
}


def of_event(
    event_type: int, details: told.Details, *, at: float, sent_at: float | None = None
) -> Evidence | None:
    """What an event of a recording says; None when it says nothing about the recording itself.

    `at`: when it was received, `sent_at`: when the vendor says that it happened.
    """
    if event_type in AFTER_THE_END:
        return None
    reading = Reading.ALIVE if event_type in _ALIVE_TYPES else _of_details(details)
    uid = details.new_uid if isinstance(details, told.SessionFailover) else ""
    return Evidence(
        at=at,
        source=Source.EVENT,
        reading=reading,
        text=_event_text(event_type, details),
        files=getattr(details, "files", ()),
        uid=uid or "",
        sent_at=sent_at,
        **_stream(details),
    )


def of_query(reply: QueryReply, *, at: float) -> Evidence:
    """What the answer of `query` says; a status that nobody documents says that it is known."""
    known = _BY_STATUS.get(reply.status, Reading.NOTED) if reply.status is not None else None
    return Evidence(
        at=at,
        source=Source.QUERY,
        reading=known or Reading.NOTED,
        text=f"status {reply.status}",
        host=reply.host,
        files=reply.files,
    )


def of_stop(reply: StopReply, *, at: float) -> Evidence:
    """What the answer of `stop` says: accepted, or where the files are already."""
    told = {"uploaded": Reading.UPLOADED, "backuped": Reading.BACKUPED}
    return Evidence(
        at=at,
        source=Source.STOP,
        reading=told.get(reply.uploading_status, Reading.LEAVING),
        text=f"accepted {reply.uploading_status}".strip(),
        host=reply.host,
        files=reply.files,
    )


def of_error(error: ApiError, *, source: Source, at: float, trusted: bool) -> Evidence:
    """What a failed call says about the recording; most failures say nothing."""
    reading = Reading.UNKNOWN
    if isinstance(error, NoWorkerError):
        reading = Reading.NOT_FOUND
    elif isinstance(error, NoDataError):
        reading = Reading.NO_DATA
    elif isinstance(error, LeavingError):
        reading = Reading.LEAVING
    elif isinstance(error, RefusedError):
        reading = Reading.REFUSED
    return Evidence(
        at=at,
        source=source,
        reading=reading,
        text=str(error),
        host=error.host,
        trusted=trusted,
    )


def is_recording_event(product_id: int, event_type: int) -> bool:
    """Whether an event may be about a recording at all (the Cloud Transcoder shares the number)."""
    return product_id == CLOUD_RECORDING and event_type not in AFTER_THE_END


def _of_details(details: told.Details) -> Reading:
    for kind, read in _READERS:
        if isinstance(details, kind):
            return read(details)
    return Reading.NOTED


def _started(details: Any) -> Reading:
    return Reading.FATAL if details.status else Reading.STARTED


def _uploader(details: Any) -> Reading:
    return Reading.FATAL if details.status else Reading.PROGRESS


def _uploaded(details: Any) -> Reading:
    return Reading.FATAL if details.status else Reading.UPLOADED


def _backuped(details: Any) -> Reading:
    return Reading.FATAL if details.status else Reading.BACKUPED


def _exited(details: Any) -> Reading:
    return Reading.ABNORMAL if details.exit_status else Reading.EXITED


def _web_stopped(details: Any) -> Reading:
    return Reading.ABNORMAL if details.code else Reading.LEAVING


def _error(details: Any) -> Reading:
    return Reading.FATAL if details.error_level == 5 else Reading.NOTED


_READERS: tuple[tuple[type, Callable[[Any], Reading]], ...] = (
    (told.RecorderStarted, _started),
    (told.WebRecorderStarted, lambda _: Reading.STARTED),
    (told.UploaderStarted, _uploader),
    (told.UploadingProgress, lambda _: Reading.PROGRESS),
    (told.RecorderLeave, lambda _: Reading.LEAVING),
    (told.Uploaded, _uploaded),
    (told.Backuped, _backuped),
    (told.SessionExit, _exited),
    (told.WebRecorderStopped, _web_stopped),
    (told.CloudRecordingError, _error),
    (told.SessionFailover, lambda _: Reading.FAILED_OVER),
)


def _stream(details: told.Details) -> dict[str, Any]:
    """Whether a stream arrives, of the events that tell it (state 0: it does)."""
    if not isinstance(details, told.StreamState) or details.state not in {0, 1}:
        return {}
    return {
        "stream": f"{details.kind}:{details.stream_uid}",
        "receiving": details.state == 0,
    }


def _event_text(event_type: int, details: told.Details) -> str:
    name = event_name(CLOUD_RECORDING, event_type) or "undocumented"
    for field in ("status", "exit_status", "code", "error_code", "leave_code"):
        value = getattr(details, field, None)
        if value is not None:
            return f"{event_type} {name}, {field} {value}"
    return f"{event_type} {name}"
