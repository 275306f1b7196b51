"""What will be done about a recording next, and why, in words. Pure."""

from typing import Any

from scheduler.recordings.decide import (
    Action,
    Ask,
    Close,
    Stop,
    Stops,
    Tell,
    Wait,
    decide,
    stop_due,
    stop_owed,
)
from scheduler.recordings.findings import moment
from scheduler.recordings.session import Session
from scheduler.recordings.timings import Timings


def outlook(session: Session, *, now: float, timings: Timings, stops: Stops) -> dict[str, Any]:
    """The next thing that is done if nothing is told before, and when; `withheld`: not done."""
    action: Action = decide(session, now=now, timings=timings, stops=stops)
    at: float | None = now
    if isinstance(action, Wait):
        at = action.until
        if at is not None:
            action = decide(session, now=at, timings=timings, stops=stops)
    withheld = None if stops.policy else _withheld(session, now=now, timings=timings)
    return {"do": _words(action), "at": moment(at), "withheld": withheld}


def _words(action: Action) -> str:
    match action:
        case Ask(reason):
            return f"ask ({reason})"
        case Stop(reason):
            return f"stop ({reason})"
        case Tell(kind, why):
            return f"tell {kind}: {why}"
        case Close(reason):
            return f"close ({reason})"
        case Wait():
            return "wait for events"


def _withheld(session: Session, *, now: float, timings: Timings) -> str | None:
    at = stop_due(session, timings=timings)
    if at is None or at > now:
        return None
    return f"stop ({stop_owed(session, now=now)}): stop_policy is off"
