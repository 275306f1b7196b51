"""One recording task: its statuses, the declared transitions, what is true of it now (pure).

Statuses are the vendor's (`query`'s `status`; Docs-Source `cloud-recording/rest-api/query.mdx`) and
two of our own: `ADRIFT`, `GONE`.
"""

import math
from typing import NamedTuple

import msgspec

from agora_sidecar.agora.recordings import (
    ABNORMAL,
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
from agora_sidecar.emulator.studio.plan import Plan

GONE = -1
"""No worker has the task any more: the API finds nothing."""
ADRIFT = -2
"""Its worker is lost and no other has it yet: the API finds nothing, for now."""

TRANSITIONS: dict[int, dict[str, int]] = {
    NOT_STARTED: {"start": INITIALISED},
    INITIALISED: {"time": STARTING, "stop": STOPPING, "die": ABNORMAL, "fault": ADRIFT},
    STARTING: {"time": PARTLY_READY, "stop": STOPPING, "die": ABNORMAL, "fault": ADRIFT},
    PARTLY_READY: {"time": READY, "stop": STOPPING, "die": ABNORMAL, "fault": ADRIFT},
    READY: {
        "file": IN_PROGRESS,
        "stop": STOPPING,
        "idle": STOPPING,
        "limit": STOPPING,
        "die": ABNORMAL,
        "fault": ADRIFT,
    },
    IN_PROGRESS: {
        "stop": STOPPING,
        "idle": STOPPING,
        "limit": STOPPING,
        "die": ABNORMAL,
        "fault": ADRIFT,
    },
    ADRIFT: {"rescue": READY, "time": GONE},
    STOPPING: {"time": STOPPED},
    STOPPED: {"time": EXITED},
    EXITED: {"time": GONE},
    ABNORMAL: {"time": GONE},
    GONE: {},
}
"""Status, cause, next status; what is not here cannot happen."""

RUNNING = frozenset({INITIALISED, STARTING, PARTLY_READY, READY, IN_PROGRESS})
RECORDING = frozenset({READY, IN_PROGRESS})
LEAVING = frozenset({STOPPING, STOPPED, EXITED})
ENDED = frozenset({EXITED, ABNORMAL, GONE})

CLIENT_LEFT = 24
"""`leaveCode` of a stop (8|16, as observed)."""
NO_USERS = 4
"""`leaveCode` of an idle exit."""


class TransitionError(Exception):
    """A cause that the task's status does not know; the task stays as it is."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(f"status {status} does not know {cause!r}")
        self.status = status
        self.cause = cause


class Moment(NamedTuple):
    """A time on both axes: the vendor's seconds, Unix milliseconds."""

    at: float
    ms: int


class Track(msgspec.Struct, frozen=True):
    """What is recorded of one stream uid since `at`; `filed` once its index is uploaded."""

    uid: str
    at: float
    ms: int
    filed: bool = False


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task now.

    `publisher` is what is true in the channel, `hearing` what the recorder has noticed (stream
    uids); `quiet_since` is since when nobody publishes (infinite: somebody does). `uid` is the
    worker's, another one after each of the `switches`. `first_ms` is when there was media first.
    """

    uid: str
    status: int = NOT_STARTED
    began: float = 0.0
    since: float = 0.0
    users: tuple[str, ...] = ()
    publisher: bool = True
    publisher_changed: float = 0.0
    quiet_since: float = math.inf
    hearing: tuple[str, ...] = ()
    tracks: tuple[Track, ...] = ()
    first_ms: int = 0
    next_progress: float = math.inf
    next_snapshot: float = math.inf
    outputs: tuple[tuple[str, str], ...] = ()
    output_changed: float = 0.0
    on_hold: bool = False
    reloaded: bool = False
    switches: int = 0
    faulted: int = 0
    death: str = ""
    dies_at: float = math.inf
    leave_code: int = 0
    web_code: int = 0
    transcoded: int = 0

    @property
    def recorded(self) -> bool:
        """Whether there ever was anything to record."""
        return self.first_ms > 0


change = msgspec.structs.replace
"""The task with some of it set anew."""


def move(task: Task, cause: str, now: float) -> Task:
    """The task after one transition.

    Raises:
        TransitionError: an undeclared one.
    """
    status = TRANSITIONS[task.status].get(cause)
    if status is None:
        raise TransitionError(task.status, cause)
    return change(task, status=status, since=now)


def begin(plan: Plan, now: float, *, publisher: bool = True) -> Task:
    """The task that a start makes."""
    task = Task(uid=plan.uid, began=now, users=plan.users, on_hold=plan.on_hold)
    return change(
        move(task, "start", now),
        publisher=publisher and not plan.on_hold,
        publisher_changed=now,
        quiet_since=math.inf if publisher else now,
        outputs=tuple((url, "connecting") for url in plan.outputs),
        death=plan.luck.death,
        dies_at=now + plan.luck.dies_at,
    )


def stop(task: Task, now: float) -> Task:
    """The task after somebody asked it to stop.

    Raises:
        TransitionError: it is on its way out already, or cannot be found.
    """
    return change(move(task, "stop", now), leave_code=CLIENT_LEFT)


def publish(task: Task, *, present: bool, now: float) -> Task:
    """The task after a publisher came or went."""
    if present == task.publisher:
        return task
    quiet = math.inf if present else now
    return change(task, publisher=present, publisher_changed=now, quiet_since=quiet)


def subscribe(task: Task, users: tuple[str, ...], now: float) -> Task:
    """The task after its subscription was set anew."""
    return change(task, users=users, publisher_changed=max(now, task.publisher_changed))
