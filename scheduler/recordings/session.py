"""What is known of one recording, and the one table by which evidence moves it. Pure.

Notifications may be lost, repeated and disordered (Docs-Source
`shared/notification-center-service`), so almost every reading may follow almost every state. Where
an event contradicts a later state it is taken for a late one and changes nothing; the answer to a
`query` is the vendor's "reliable way" and may move a recording back.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from agora_sidecar.agora.recordings import File
from scheduler.recordings.sequences import Lanes
from scheduler.recordings.timeline import Timeline

RESOURCE_EXPIRED_HOURS = 72.0
"""`resourceExpiredHour` of acquire when not given: how long query and stop work after the sid."""


class State(StrEnum):
    """Where a recording is."""

    STARTING = "starting"
    RECORDING = "recording"
    ENDING = "ending"
    UPLOADING = "uploading"
    CLOSED = "closed"


class Reading(StrEnum):
    """What one piece of evidence says."""

    STARTED = "started"
    """An event says that the recorder started."""
    RUNNING = "running"
    """`query` says that it records."""
    ALIVE = "alive"
    """An event that only a working recorder sends; or a late one."""
    NOT_YET = "not_yet"
    """`query` knows it; not all components are ready."""
    NOTED = "noted"
    """It is known to the vendor, nothing more."""
    FATAL = "fatal"
    """Something may have ended it: ask at once."""
    FAILED_OVER = "failed_over"
    LEAVING = "leaving"
    PROGRESS = "progress"
    """The uploader works: during the recording, or after it."""
    EXITING = "exiting"
    UPLOADED = "uploaded"
    BACKUPED = "backuped"
    EXITED = "exited"
    ABNORMAL = "abnormal"
    NO_DATA = "no_data"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    """No usable answer: says nothing about the recording."""
    REFUSED = "refused"
    """Our request or our credentials are not accepted: says nothing about the recording."""
    GIVEN_UP = "given_up"
    """Our own decision that nothing more will be told."""


NO_ANSWER = frozenset({Reading.UNKNOWN, Reading.REFUSED})
"""What says nothing about a recording."""


class Source(StrEnum):
    """Who told."""

    EVENT = "event"
    QUERY = "query"
    STOP = "stop"
    CLOCK = "clock"


_READ = Reading
_START, _REC, _END, _UP, _CLOSED = State

TRANSITIONS: dict[Reading, tuple[State, State, State, State, State | None]] = {
    # from:            starting, recording, ending, uploading, closed
    _READ.STARTED: (_REC, _REC, _END, _UP, _CLOSED),
    _READ.RUNNING: (_REC, _REC, _REC, _REC, _CLOSED),
    _READ.ALIVE: (_REC, _REC, _END, _UP, _CLOSED),
    _READ.NOT_YET: (_START, _REC, _END, _UP, _CLOSED),
    _READ.NOTED: (_START, _REC, _END, _UP, _CLOSED),
    _READ.FATAL: (_START, _REC, _END, _UP, _CLOSED),
    _READ.FAILED_OVER: (_REC, _REC, _END, _UP, _CLOSED),
    _READ.LEAVING: (_END, _END, _END, _UP, _CLOSED),
    _READ.PROGRESS: (_REC, _REC, _UP, _UP, _CLOSED),
    _READ.EXITING: (_UP, _UP, _UP, _UP, _CLOSED),
    _READ.UPLOADED: (_CLOSED, _CLOSED, _CLOSED, _CLOSED, _CLOSED),
    _READ.BACKUPED: (_CLOSED, _CLOSED, _CLOSED, _CLOSED, _CLOSED),
    _READ.EXITED: (_UP, _UP, _UP, _UP, _CLOSED),
    _READ.ABNORMAL: (_UP, _UP, _UP, _UP, _CLOSED),
    _READ.NO_DATA: (_CLOSED, _CLOSED, _CLOSED, _CLOSED, _CLOSED),
    _READ.NOT_FOUND: (_START, _REC, _END, _UP, _CLOSED),
    _READ.UNKNOWN: (_START, _REC, _END, _UP, _CLOSED),
    _READ.REFUSED: (_START, _REC, _END, _UP, _CLOSED),
    # What the vendor says after the end is late or was on its way; closing twice is our own mistake
    _READ.GIVEN_UP: (_CLOSED, _CLOSED, _CLOSED, _CLOSED, None),
}


_COLUMN = {state: column for column, state in enumerate(State)}


class TransitionError(Exception):
    """The table declares no such transition; nothing was changed."""

    def __init__(self, state: State, reading: Reading) -> None:
        super().__init__(f"a recording that is {state} cannot take {reading}")
        self.state = state
        self.reading = reading


def transition(state: State, reading: Reading) -> State:
    """The state after this reading.

    Raises:
        TransitionError: the table does not declare it.
    """
    target = TRANSITIONS[reading][_COLUMN[state]]
    if target is None:
        raise TransitionError(state, reading)
    return target


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was told: when (Unix seconds), by whom, and how it is read.

    `host` answered; `trusted` says that this host has answered 200 for this account before. Of a
    404, `doubted` says that another recording that should work was one as well at that time, and
    `unsure` that this could not be found out. `text` is for people. `files` are those
    named; `uid` is the recorder's new one after a fail-over. `sent_at` is the vendor's own time of
    an event; `receiving` tells of a `stream` whether it arrives.
    """

    at: float
    source: Source
    reading: Reading
    text: str = ""
    host: str = ""
    trusted: bool = False
    doubted: bool = False
    unsure: bool = False
    files: tuple[File, ...] = ()
    uid: str = ""
    sent_at: float | None = None
    stream: str = ""
    receiving: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One recording: what names it, what is wanted, what was observed. Times are Unix seconds.

    `version` counts the ledger's changes; 0 is not saved yet. `registered` tells that somebody gave
    its facts, not only the stream. `idle_since`: no stream arrives. `hint_at`: ask then, earlier
    than silence would. `unfound_since`, `unfound_at`: the first and the last 404 of now;
    `missing_since`, `missing_at`: those that are believed; `doubted`: some were not. `left_at`: it
    was told to be leaving; `ended_at`: its end is certain, but not its files; `uploading_at`: the
    uploader was last heard of after the end. `closed_reason` is set with `closed_at`; `findings`
    are the kinds that are on the stream.
    """

    sid: str
    created_at: float
    started_at: float
    app_id: str = ""
    resource_id: str = ""
    mode: str = ""
    cname: str = ""
    uid: str = ""
    source: str = "default"
    registered: bool = False
    max_duration: float | None = None
    resource_expired_hour: float = RESOURCE_EXPIRED_HOURS
    max_idle_time: float | None = None
    max_recording_hour: float | None = None
    file_name_prefix: tuple[str, ...] = ()
    av_file_type: tuple[str, ...] = ()

    stop_wanted: str = ""
    stop_wanted_at: float | None = None
    stop_called_at: float | None = None
    stop_tries: int = 0
    stop_withheld_at: float | None = None
    stop_obstacle: str = ""

    state: State = State.STARTING
    failing_over: bool = False
    fail_overs: int = 0
    recorder_uid: str = ""
    alive_at: float | None = None
    heard_at: float | None = None
    asked_at: float | None = None
    attempts: int = 0
    hint_at: float | None = None
    hint: str = ""
    streams: tuple[str, ...] = ()
    idle_since: float | None = None
    lanes: Lanes = ()
    unfound_since: float | None = None
    unfound_at: float | None = None
    missing_since: float | None = None
    missing_at: float | None = None
    missing_hosts: tuple[str, ...] = ()
    doubted: bool = False
    left_at: float | None = None
    uploading_at: float | None = None
    ended_at: float | None = None
    ended_by: Source | None = None
    abnormal: bool = False
    files: tuple[File, ...] = ()
    upload: str = ""
    closed_at: float | None = None
    closed_reason: str = ""
    closed_by: Source | None = None
    afterwards: str = ""
    findings: tuple[str, ...] = ()
    timeline: Timeline = ()
    version: int = 0

    @property
    def told(self) -> bool:
        """Whether its `closed` entry is on the stream: nothing is left to do."""
        return "closed" in self.findings

    @property
    def unfound(self) -> bool:
        """Whether the vendor answers 404, believed or not."""
        return self.unfound_since is not None or self.missing_since is not None

    @property
    def askable_until(self) -> float:
        """Until when `query` and `stop` work; 0 without a resource id."""
        return self.started_at + 3600 * self.resource_expired_hour if self.resource_id else 0.0

    def askable(self, now: float) -> bool:
        """Whether `query` and `stop` work: known resource id, within `resourceExpiredHour`."""
        return now < self.askable_until

    def unaskable(self, now: float) -> str:
        """Why they do not work; empty where they do."""
        if not self.resource_id:
            return "no resource id is known"
        return "" if self.askable(now) else "resourceExpiredHour is over"


def hinted(session: Session, hint: str, *, at: float) -> Session:
    """The session with a reason to ask at `at`, unless there is one to ask earlier."""
    if session.hint_at is not None and session.hint_at <= at:
        return session
    return replace(session, hint_at=at, hint=hint)


def unhinted(session: Session) -> Session:
    """The session without a reason to ask early."""
    return replace(session, hint_at=None, hint="")


def close(session: Session, reason: str, *, told_by: Source, at: float) -> Session:
    """The recording closed by our decision, from what is known.

    Raises:
        TransitionError: it is closed already.
    """
    state = transition(session.state, Reading.GIVEN_UP)
    return replace(session, state=state, closed_at=at, closed_reason=reason, closed_by=told_by)
