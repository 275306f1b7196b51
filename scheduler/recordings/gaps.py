"""Missing notifications as hints: noted in the timeline, asked about soon, damped. Pure.

Gaps are normal where not all events are subscribed. So once `query` has shown a few gaps of a
source's module to be harmless, only now and then one of them is asked about, until one is not.
"""

from dataclasses import replace

from scheduler.recordings.sequences import Counted, count, gaps_open
from scheduler.recordings.session import Reading, Session, hinted, unhinted
from scheduler.recordings.timeline import Kind, Note, noted

HARMLESS = 2
"""Gaps of one lane that meant nothing; its further ones are no hint."""
EXPLAINED = 3
"""Gaps of one source and module in a row that meant nothing: the subscription explains them."""
SAMPLE = 8
"""Of so many explained gaps one is asked about all the same."""

HINT = "gap"


def counted(
    session: Session, *, uid: str, service: int, number: int, at: float, patience: float
) -> tuple[Session, Counted]:
    """The session with one notification's number; after `patience` a gap is worth a question."""
    told = count(session.lanes, uid=uid, service=service, number=number)
    session = replace(session, lanes=told.lanes)
    if told.gap is not None:
        first, last = told.gap
        missing = f"{first}" if first == last else f"{first} to {last}"
        session = _noted(session, f"{missing} missing ({told.lane.name})", at=at)
        if told.lane.harmless < HARMLESS:
            session = hinted(session, HINT, at=at + patience)
    elif told.healed:
        session = _noted(session, f"{number} came late ({told.lane.name})", at=at)
        if session.hint == HINT and not gaps_open(session.lanes):
            session = unhinted(session)
    return session, told


def explained(session: Session, *, at: float) -> Session:
    """The session without its hint: such gaps have meant nothing before."""
    return unhinted(_noted(session, "not asked about: such gaps were harmless", at=at))


class Damper:
    """Remembers of each source and module whether its gaps mean anything."""

    def __init__(self) -> None:
        self._harmless: dict[tuple[str, int], int] = {}
        self._seen: dict[tuple[str, int], int] = {}

    def damps(self, session: Session) -> bool:
        """Whether to pass over this session's gaps."""
        lanes = _gapped(session)
        if not lanes or any(self._harmless.get(lane, 0) < EXPLAINED for lane in lanes):
            return False
        self._seen[lanes[0]] = seen = self._seen.get(lanes[0], 0) + 1
        return seen % SAMPLE != 0

    def learn(self, session: Session, reading: Reading) -> None:
        """What `query` told when it was asked because of this session's gaps."""
        if reading in {Reading.UNKNOWN, Reading.REFUSED}:
            return
        for lane in _gapped(session):
            harmless = reading is Reading.RUNNING
            self._harmless[lane] = self._harmless.get(lane, 0) + 1 if harmless else 0


def _gapped(session: Session) -> list[tuple[str, int]]:
    return sorted({(session.source, lane.service) for lane in session.lanes if lane.missing})


def _noted(session: Session, what: str, *, at: float) -> Session:
    return replace(session, timeline=noted(session.timeline, Note(at, Kind.GAP, what)))
