"""What to do about a recording now, from what is known of it. Pure; acts rarely."""

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.recordings import patience
from scheduler.recordings.session import Session, Source, State
from scheduler.recordings.timings import Timings, step

LAST_CHANCE = 2.0
"""Before `query` ends to work, one question more: so many times `end_after_404` before."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then (Unix seconds); None: nothing until somebody tells something."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Call `query`, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Call `stop`: it is owed, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Put a finding on the stream that is no end: its kind, and why."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Close:
    """The recording is over: the reason, and who told."""

    reason: str
    told_by: Source


Action = Wait | Ask | Stop | Tell | Close


@dataclass(frozen=True, slots=True)
class Stops:
    """What is allowed: `policy` false: never call `stop`; `app_ids`: whose recordings are ours.

    No app ids: everybody's.
    """

    policy: bool = True
    app_ids: frozenset[str] = frozenset()

    def obstacle(self, session: Session, *, now: float) -> str:
        """Why this recording cannot be stopped; empty where it can."""
        if self.app_ids and session.app_id not in self.app_ids and session.resource_id:
            return "it belongs to another app id"
        return session.unaskable(now) or session.stop_obstacle


ALLOWED = Stops()


def decide(session: Session, *, now: float, timings: Timings, stops: Stops = ALLOWED) -> Action:
    """The one thing to do now."""
    if session.state is State.CLOSED:
        return _tell_the_end(session)
    if session.ended_at is not None:
        return _await_files(session, now=now, timings=timings)
    if patience.is_over(session, timings=timings):
        return Close("not_found" if session.alive_at is not None else "never_started", Source.QUERY)
    if told := _tell(session, now=now, timings=timings, stops=stops):
        return told
    if not session.askable(now):
        return _listen(session, now=now, timings=timings)
    questions = _questions(session, timings=timings)
    return _call(session, now=now, timings=timings, stops=stops, question=min(questions))


def _call(
    session: Session, *, now: float, timings: Timings, stops: Stops, question: tuple[float, str]
) -> Action:
    stop_at = stop_due(session, timings=timings) if stops.policy else None
    if stop_at is not None and stop_at <= now and not _foreign(session, stops):
        return Stop(stop_owed(session, now=now))
    ask_at, reason = question
    if ask_at <= now:
        return Ask(reason)
    later = [ask_at, session.askable_until, *_told_at(session, timings=timings)]
    return Wait(min(at for at in [*later, stop_at] if at is not None and at > now))


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


def stop_due(session: Session, *, timings: Timings) -> float | None:
    """When to call `stop`; None: not as things are.

    Never on top of a 404, nor while it is already leaving.
    """
    if session.unfound or session.state not in {State.STARTING, State.RECORDING}:
        return None
    owed_at = _stop_owed_at(session)
    if owed_at is None or session.stop_called_at is None:
        return owed_at
    again = session.stop_called_at + step(timings.stop_again, session.stop_tries)
    return max(owed_at, again)


def _stop_owed_at(session: Session) -> float | None:
    if session.stop_wanted:
        return session.stop_wanted_at or session.created_at
    return session.started_at + session.max_duration if session.max_duration else None


def _tell_the_end(session: Session) -> Action:
    if session.told or session.closed_by is None:
        return Wait(None)
    return Close(session.closed_reason, session.closed_by)


def _tell(session: Session, *, now: float, timings: Timings, stops: Stops) -> Action | None:
    """What consumers should know although it is no end; each kind once."""
    owed = _stop_is_due(session, now=now, stops=stops)
    obstacle = stops.obstacle(session, now=now) if owed else ""
    if obstacle and "stop_refused" not in session.findings:
        return Tell("stop_refused", obstacle)
    why = session.unaskable(now)
    if why and "unaskable" not in session.findings and _silent_from(session, timings) <= now:
        return Tell("unaskable", why)
    if any(at <= now for at in _told_at(session, timings=timings)):
        return Tell("upload_overdue", "the upload goes on, or nobody told that it ended")
    return None


def _stop_is_due(session: Session, *, now: float, stops: Stops) -> bool:
    working = session.state in {State.STARTING, State.RECORDING}
    return stops.policy and working and bool(stop_owed(session, now=now))


def _told_at(session: Session, *, timings: Timings) -> Iterator[float]:
    """When an upload is overdue, unless that was told."""
    since = session.ended_at or session.left_at
    if since is not None and "upload_overdue" not in session.findings:
        yield since + timings.upload_limit


def _await_files(session: Session, *, now: float, timings: Timings) -> Action:
    """The end is certain; 31 or 32 may still tell where the files are."""
    ended = session.ended_at or now
    deadline = ended + timings.upload_wait
    if now < deadline:
        return Wait(deadline)
    told = bool(session.missing_hosts) or now >= deadline + timings.upload_wait
    if not session.askable(now) or (told and not _uploads(session, ended, timings=timings)):
        return _over(session)
    overdue = list(_told_at(session, timings=timings))
    if any(at <= now for at in overdue):
        return Tell("upload_overdue", "the vendor reports that the upload goes on")
    asked, again = session.asked_at or 0, now
    if asked >= deadline:
        interval = _patiently(session, now=asked, timings=timings)
        again = patience.not_beyond(session, asked, interval, timings=timings)
    return Ask("files") if again <= now else Wait(min(again, session.askable_until, *overdue))


def _uploads(session: Session, ended: float, *, timings: Timings) -> bool:
    """Whether the vendor said so after the end, and nothing of it being gone since then."""
    last = session.uploading_at
    if last is None or last < ended:
        return False
    gone = session.missing_since is not None and session.missing_since > last
    return not gone and not patience.is_over_for_all(session, timings=timings)


def _over(session: Session) -> Action:
    # exitStatus 0 means "recording ended and files uploaded" (event-types/cloud-recording.mdx)
    return Close("abnormal" if session.abnormal else "uploaded", session.ended_by or Source.CLOCK)


def _listen(session: Session, *, now: float, timings: Timings) -> Action:
    """Nobody can be asked: what its events and its own limits say is all there is."""
    quiet_from = max(session.heard_at or 0, session.asked_at or 0, session.created_at)
    ends: list[float] = []
    if session.left_at is not None:
        ends.append(max(session.left_at, quiet_from) + timings.upload_wait)
    if session.max_recording_hour is not None:
        life = 3600 * session.max_recording_hour
        ends.append(max(session.started_at + life, quiet_from) + timings.upload_wait)
    if ends and min(ends) <= now:
        return Close("unconfirmed", Source.EVENT if session.left_at else Source.CLOCK)
    if "unaskable" not in session.findings:
        ends.append(_silent_from(session, timings))
    if "stop_refused" not in session.findings and session.max_duration:
        ends.append(session.started_at + session.max_duration)
    return Wait(min((at for at in ends if at > now), default=None))


def _silent_from(session: Session, timings: Timings) -> float:
    last = max(session.heard_at or 0, session.asked_at or 0, session.created_at)
    return last + timings.quiet_for(session.sid)


def _foreign(session: Session, stops: Stops) -> bool:
    return bool(stops.app_ids) and session.app_id not in stops.app_ids


def _questions(session: Session, *, timings: Timings) -> Iterator[tuple[float, str]]:
    """When to ask, and why; the earliest counts."""
    if session.hint_at is not None:
        yield session.hint_at, session.hint or "hint"
    yield _usual(session, timings=timings)
    asked = session.asked_at or 0
    for at, reason in _limits(session, timings=timings):
        if asked < at:
            yield at, reason


def _usual(session: Session, *, timings: Timings) -> tuple[float, str]:
    if session.asked_at is not None and session.attempts:
        return _again(session, session.asked_at, timings=timings)
    if session.state is State.STARTING and session.asked_at is None:
        return session.started_at + timings.confirm_after, "confirm"
    return _silent_from(session, timings), "silence"


def _again(session: Session, asked: float, *, timings: Timings) -> tuple[float, str]:
    """After an answer that was not "it records": growing intervals, by what was answered."""
    if session.unfound:
        return patience.ask_again(session, asked, timings=timings), "not_found"
    if session.left_at is not None:
        return asked + _patiently(session, now=asked, timings=timings), "upload"
    confirming = session.state is State.STARTING
    if confirming and asked < session.started_at + timings.end_after_404:
        return asked + step(timings.confirm_again, session.attempts), "confirm"
    reason = "confirm" if confirming else "unknown"
    return asked + step(timings.ask_again, session.attempts), reason


def _patiently(session: Session, *, now: float, timings: Timings) -> float:
    """The interval while it uploads: a quarter of how long that has been going on."""
    since = session.ended_at or session.left_at or now
    usual = step(timings.ask_again, session.attempts)
    return max(usual, min((now - since) / 4, timings.upload_again))


def _limits(session: Session, *, timings: Timings) -> Iterator[tuple[float, str]]:
    """Moments at which it may well have ended, by its own limits; and the last one to ask."""
    if session.idle_since is not None:
        idle = timings.idle_time if session.max_idle_time is None else session.max_idle_time
        yield session.idle_since + idle + timings.confirm_after, "idle"
    if session.max_recording_hour is not None:
        life = 3600 * session.max_recording_hour
        yield session.started_at + life + timings.confirm_after, "max_recording_hour"
    yield session.askable_until - LAST_CHANCE * timings.end_after_404, "last_chance"
