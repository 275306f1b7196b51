"""What to do about a recording now, from what is known of it. Pure; acts rarely."""

from dataclasses import dataclass

from scheduler.recordings.session import Session, Source, State
from scheduler.recordings.timings import Timings, step


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then (Unix seconds); None: nothing until somebody tells something."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Call `query`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Call `stop`: it is owed, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """The recording is over: the reason, and who told."""

    reason: str
    told_by: Source


Action = Wait | Ask | Stop | Close


def decide(
    session: Session, *, now: float, timings: Timings, stops: bool = True, wave: bool = False
) -> Action:
    """The one thing to do now.

    `stops` is false where the policy forbids `stop`. In a `wave` of 404s their patience is wider.
    """
    if session.state is State.CLOSED:
        return _tell(session)
    patience = timings.wave_patience if wave else timings.end_after_404
    if session.ended_at is not None:
        return _await_files(session, now=now, timings=timings)
    if _missing_for(session) >= patience:
        return Close("not_found" if session.alive_at is not None else "never_started", Source.QUERY)
    if not session.askable(now):
        return Wait(None)
    stop_at = _stop_at(session, now=now, timings=timings) if stops else None
    ask_at = _ask_at(session, timings=timings, patience=patience)
    return _call(session, now=now, stop_at=stop_at, ask_at=ask_at)


def due(session: Session, *, now: float, timings: Timings) -> float | None:
    """When to look at it again (Unix seconds); None: not before something is told."""
    action = decide(session, now=now, timings=timings)
    return action.until if isinstance(action, Wait) else now


def stop_owed(session: Session, *, now: float) -> str:
    """Why a stop is owed; empty when none is."""
    if session.stop_wanted:
        return session.stop_wanted
    longest = session.max_duration
    return "max_duration" if longest and now >= session.started_at + longest else ""


def _call(session: Session, *, now: float, stop_at: float | None, ask_at: float) -> Action:
    if stop_at is not None and stop_at <= now:
        return Stop(stop_owed(session, now=now))
    if ask_at <= now:
        return Ask()
    return Wait(ask_at if stop_at is None else min(ask_at, stop_at))


def _tell(session: Session) -> Action:
    if session.told or session.closed_by is None:
        return Wait(None)
    return Close(session.closed_reason, session.closed_by)


def _await_files(session: Session, *, now: float, timings: Timings) -> Action:
    """The end is certain; 31 or 32 may still tell where the files are."""
    deadline = (session.ended_at or now) + timings.upload_wait
    if now < deadline:
        return Wait(deadline)
    # exitStatus 0 means "recording ended and files uploaded" (event-types/cloud-recording.mdx)
    return Close("abnormal" if session.abnormal else "uploaded", session.ended_by or Source.CLOCK)


def _missing_for(session: Session) -> float:
    if session.missing_since is None or session.missing_at is None:
        return -1.0
    return session.missing_at - session.missing_since


def _stop_at(session: Session, *, now: float, timings: Timings) -> float | None:
    """Never on top of a 404, nor while it is already leaving."""
    if session.missing_since is not None or session.state not in {State.STARTING, State.RECORDING}:
        return None
    if not stop_owed(session, now=now):
        return session.started_at + session.max_duration if session.max_duration else None
    if session.stop_called_at is None:
        return now
    return session.stop_called_at + step(timings.stop_again, session.stop_tries)


def _ask_at(session: Session, *, timings: Timings, patience: float) -> float:
    if session.hint_at is not None:
        return session.hint_at
    if session.asked_at is not None and session.attempts:
        again = timings.confirm_again if session.state is State.STARTING else timings.ask_again
        ask_at = session.asked_at + step(again, session.attempts)
        # The last question of a patience is asked when it ends, not an interval later
        over = (session.missing_since or 0) + patience
        return min(ask_at, over) if over > session.asked_at else ask_at
    if session.state is State.STARTING and session.asked_at is None:
        return session.started_at + timings.confirm_after
    last = max(session.heard_at or 0, session.asked_at or 0, session.created_at)
    return last + timings.quiet_for(session.sid)
