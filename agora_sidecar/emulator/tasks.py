"""The state machine of one composite recording task: what happens, when, what tells of it (pure).

All transitions stand in `TRANSITIONS`, all durations in `STAYS`. Statuses are the vendor's
(`query`'s `status`; Docs-Source `cloud-recording/rest-api/query.mdx`) and one of our own, `GONE`.
The order of events follows the fact sheet's observed sequences; the durations are our choice,
within what the vendor says (ready within seconds, the first file after 15 s, uploads within 20 s).
"""

from dataclasses import dataclass, replace

from agora_sidecar.agora.recordings import (
    EXITED,
    IN_PROGRESS,
    INITIALISED,
    NOT_STARTED,
    PARTLY_READY,
    READY,
    STARTING,
    STOPPED,
    STOPPING,
)

GONE = -1
"""No worker has the task any more: `query` and `stop` find nothing."""

TRANSITIONS: dict[int, dict[str, int]] = {
    NOT_STARTED: {"start": INITIALISED},
    INITIALISED: {"time": STARTING, "stop": STOPPING},
    STARTING: {"time": PARTLY_READY, "stop": STOPPING},
    PARTLY_READY: {"time": READY, "stop": STOPPING},
    READY: {"file": IN_PROGRESS, "stop": STOPPING, "idle": STOPPING},
    IN_PROGRESS: {"stop": STOPPING, "idle": STOPPING},
    STOPPING: {"time": STOPPED},
    STOPPED: {"time": EXITED},
    EXITED: {"time": GONE},
    GONE: {},
}
"""Status, cause, next status; what is not here cannot happen."""

STAYS = {
    INITIALISED: 0.5,
    STARTING: 0.5,
    PARTLY_READY: 1.0,
    STOPPING: 2.0,
    STOPPED: 3.0,
    EXITED: 5.0,
}
"""Seconds after which `time` moves a task on."""

HEARING = 1.0
"""Seconds from a publisher's coming or going to the recorder's noticing it."""
FIRST_FILE = 15.0
"""Seconds from the first media to the first uploaded index."""
PROGRESS = 60.0
"""Seconds between two reports of the upload's progress."""

RUNNING = frozenset({INITIALISED, STARTING, PARTLY_READY, READY, IN_PROGRESS})
RECORDING = frozenset({READY, IN_PROGRESS})
LEAVING = frozenset({STOPPING, STOPPED, EXITED})

NO_USERS, CLIENT_LEFT = 4, 24
"""`leaveCode` of an idle exit and of a stop (8|16, as observed)."""

ENDINGS = (
    ("recorder_leave", "uploader_started", "upload", "session_exit"),
    ("recorder_leave", "session_exit", "uploader_started", "upload"),
    ("recorder_leave", "uploader_started", "session_exit", "upload"),
    ("uploader_started", "recorder_leave", "upload", "session_exit"),
)
"""Orders in which the last events happen; `upload` is 31 or 32."""
UPLOADS = frozenset({"uploader_started", "upload"})


class TransitionError(Exception):
    """A cause that the task's status does not know; the task stays as it is."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(f"status {status} does not know {cause!r}")
        self.status = status
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Task:
    """One task; times are the vendor's seconds on one monotonic axis.

    `publisher` is what is true in the channel, `hearing` what the recorder has noticed;
    `quiet_since` is since when nobody publishes (None: somebody does).
    """

    status: int = NOT_STARTED
    since: float = 0.0
    publisher: bool = True
    hearing: bool = False
    heard_at: float | None = None
    publisher_changed: float = 0.0
    quiet_since: float | None = None
    max_idle: float = 30.0
    next_progress: float = 0.0
    leave_code: int = 0
    ending: tuple[str, ...] = ENDINGS[0]

    @property
    def recorded(self) -> bool:
        """Whether there ever was anything to record."""
        return self.heard_at is not None


@dataclass(frozen=True, slots=True)
class Step:
    """What happens next: when, to which task it leads, which events tell of it."""

    at: float
    task: Task
    events: tuple[str, ...] = ()


def begin(task: Task, now: float) -> Task:
    """The task that a start makes of it."""
    return replace(
        move(task, "start", now),
        publisher_changed=now,
        quiet_since=None if task.publisher else now,
        next_progress=now + PROGRESS,
    )


def move(task: Task, cause: str, now: float) -> Task:
    """The task after one transition.

    Raises:
        TransitionError: an undeclared one.
    """
    status = TRANSITIONS[task.status].get(cause)
    if status is None:
        raise TransitionError(task.status, cause)
    return replace(task, status=status, since=now)


def stop(task: Task, now: float) -> Task:
    """The task after somebody asked it to stop.

    Raises:
        TransitionError: it is on its way out already, or gone.
    """
    return replace(move(task, "stop", now), leave_code=CLIENT_LEFT)


def publish(task: Task, *, present: bool, now: float) -> Task:
    """The task after a publisher came or went."""
    if present == task.publisher:
        return task
    return replace(
        task, publisher=present, publisher_changed=now, quiet_since=None if present else now
    )


def next_step(task: Task) -> Step | None:
    """The next thing that happens by itself; None: nothing more, until somebody acts or ever."""
    steps = [step for step in (_stay(task), _hear(task), _file(task), _idle(task)) if step]
    if task.status in RECORDING:
        steps.append(_progress(task))
    return min(steps, key=lambda step: step.at, default=None)


def last_events(task: Task) -> tuple[str, ...]:
    """The events of the end, in this task's order; without media there is nothing to upload."""
    return tuple(name for name in task.ending if task.recorded or name not in UPLOADS)


def _stay(task: Task) -> Step | None:
    stay = STAYS.get(task.status)
    if stay is None:
        return None
    at = task.since + stay
    after = move(task, "time", at)
    if after.status == READY:
        # nobody can notice a publisher before the recorder is in the channel
        after = replace(after, publisher_changed=max(task.publisher_changed, at))
        return Step(at, after, ("recorder_started",))
    if after.status == STOPPED:
        return Step(at, after, last_events(task)[:1])
    if after.status == EXITED:
        return Step(at, after, last_events(task)[1:])
    return Step(at, after)


def _hear(task: Task) -> Step | None:
    if task.status not in RECORDING or task.publisher == task.hearing:
        return None
    at = task.publisher_changed + HEARING
    first = task.heard_at is None
    after = replace(task, hearing=task.publisher, heard_at=at if first else task.heard_at)
    streams = ("audio_stream_state_changed", "video_stream_state_changed")
    return Step(at, after, (*streams, "slice_start") if first else streams)


def _file(task: Task) -> Step | None:
    if task.status != READY or task.heard_at is None:
        return None
    at = task.heard_at + FIRST_FILE
    return Step(at, move(task, "file", at), ("file_infos",))


def _idle(task: Task) -> Step | None:
    if task.status not in RECORDING or task.quiet_since is None:
        return None
    at = task.quiet_since + task.max_idle
    return Step(at, replace(move(task, "idle", at), leave_code=NO_USERS))


def _progress(task: Task) -> Step:
    after = replace(task, next_progress=task.next_progress + PROGRESS)
    return Step(task.next_progress, after, ("uploading_progress",))
