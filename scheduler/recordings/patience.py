"""How long a 404 must last to be the end of a recording, and when it is asked about again. Pure."""

from scheduler.recordings.session import Session
from scheduler.recordings.timings import Timings, step


def is_over(session: Session, *, timings: Timings) -> bool:
    """It lasted long enough: of those that are believed, or of all for much longer."""
    believed = _lasted(session.missing_since, session.missing_at) >= timings.end_after_404
    return believed or is_over_for_all(session, timings=timings)


def is_over_for_all(session: Session, *, timings: Timings) -> bool:
    """It lasted so long that it does not matter any more whether it is believed."""
    return _lasted(session.unfound_since, session.unfound_at) >= timings.wave_patience


def ask_again(session: Session, asked: float, *, timings: Timings) -> float:
    """When, after the 404 at `asked` (Unix seconds): soon, if its worth is not known."""
    unsure = session.missing_at is not None and session.missing_at < (session.unfound_at or 0)
    interval = step(timings.ask_again, 1 if unsure else session.attempts)
    return not_beyond(session, asked, interval, timings=timings)


def not_beyond(session: Session, asked: float, interval: float, *, timings: Timings) -> float:
    """After this interval; if a patience ends before that, then."""
    ends = [asked + interval]
    if session.missing_since is not None:
        ends.append(session.missing_since + timings.end_after_404)
    if session.unfound_since is not None:
        ends.append(session.unfound_since + timings.wave_patience)
    return min(at for at in ends if at > asked)


def _lasted(since: float | None, at: float | None) -> float:
    return -1.0 if since is None or at is None else at - since
