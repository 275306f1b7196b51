"""Cloud Recording vocabulary: modes, statuses, what names a task, what a file is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agora_sidecar.agora import fields

INDIVIDUAL = "individual"
MIX = "mix"
WEB = "web"
MODES = (INDIVIDUAL, MIX, WEB)
"""The modes of a path; the reference, `start`."""

# Status of the cloud service: the reference, `query-response`. Open: others may come.
NOT_STARTED = 0
INITIALISED = 1
STARTING = 2
PARTLY_READY = 3
READY = 4
IN_PROGRESS = 5
STOPPING = 6
STOPPED = 7
EXITED = 8
ABNORMAL = 20

STATUS_WORDS: Mapping[int, str] = {
    NOT_STARTED: "not started",
    INITIALISED: "initialised",
    STARTING: "starting",
    PARTLY_READY: "partly ready",
    READY: "ready",
    IN_PROGRESS: "in progress",
    STOPPING: "told to stop",
    STOPPED: "stopped",
    EXITED: "exited",
    ABNORMAL: "exited abnormally",
}
"""What the statuses are called."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One task towards the REST API: everything that its paths and bodies name."""

    app_id: str
    resource_id: str
    sid: str
    mode: str
    cname: str
    uid: str


@dataclass(frozen=True, slots=True)
class File:
    """One recorded file; `slice_start_ms` is Unix milliseconds. What is not told is empty or None.

    The vendor's text says seconds for `sliceStartTime` in lists, every example has milliseconds.
    """

    name: str
    track_type: str = ""
    uid: str = ""
    mixed_all_user: bool | None = None
    is_playable: bool | None = None
    slice_start_ms: int | None = None


def read_files(value: Any) -> tuple[File, ...]:
    """A `fileList` in any of its forms: a name, a list of names or objects, nothing.

    Decided by the JSON type that is there, not by `fileListMode`; `fileName` and `filename` are
    both in use (RTC modes and web mode). What has no name is left out.
    """
    if isinstance(value, str):
        return (File(value),) if value else ()
    if not isinstance(value, list):
        return ()
    files = (_file(item) for item in value)
    return tuple(file for file in files if file is not None)


def _file(item: Any) -> File | None:
    if isinstance(item, str):
        return File(item) if item else None
    if not isinstance(item, Mapping):
        return None
    name = fields.text(item.get("fileName")) or fields.text(item.get("filename"))
    if not name:
        return None
    return File(
        name=name,
        track_type=fields.text(item.get("trackType")),
        uid=fields.uid(item.get("uid")),
        mixed_all_user=fields.flag(item.get("mixedAllUser")),
        is_playable=fields.flag(item.get("isPlayable")),
        slice_start_ms=fields.number(item.get("sliceStartTime")),
    )
