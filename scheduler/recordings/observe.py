"""One piece of evidence folded into what is known of a recording. Pure."""

from dataclasses import replace

from scheduler.recordings.session import (
    Evidence,
    Reading,
    Session,
    Source,
    State,
    transition,
)
from scheduler.recordings.timeline import Kind, Note, Timeline, noted

_SEEN_ALIVE = {
    Reading.STARTED,
    Reading.RUNNING,
    Reading.ALIVE,
    Reading.PROGRESS,
    Reading.FAILED_OVER,
    Reading.LEAVING,
    Reading.EXITING,
}
_ENDS = {Reading.EXITED, Reading.ABNORMAL}
_CLOSES = {Reading.UPLOADED, Reading.BACKUPED, Reading.NO_DATA}
_NOT_AN_ANSWER = {Reading.UNKNOWN, Reading.NOT_FOUND}


def observe(session: Session, evidence: Evidence) -> Session:
    """What is known after this evidence; at once `closed` when it says so.

    Raises:
        TransitionError: our own mistake; nothing was changed.
    """
    state = transition(session.state, evidence.reading)
    session = replace(session, timeline=_timeline(session, evidence))
    if session.state is State.CLOSED:
        return _after_the_end(session, evidence)
    told = {Source.EVENT: _heard, Source.QUERY: _answered, Source.STOP: _stopped}[evidence.source]
    session = _meaning(told(session, evidence), evidence)
    return replace(session, state=state, files=evidence.files or session.files)


def _timeline(session: Session, evidence: Evidence) -> Timeline:
    e = evidence
    # what a working recorder sends comes by the hundred, and one note says it
    alike = e.source is Source.EVENT and e.reading in {Reading.ALIVE, Reading.PROGRESS}
    note = Note(e.at, Kind(e.source), e.text, e.reading, e.host)
    return noted(session.timeline, note, alike=alike)


def _heard(session: Session, evidence: Evidence) -> Session:
    heard_at = max(evidence.at, session.heard_at or 0)
    session = replace(session, heard_at=heard_at, attempts=0)
    if session.missing_since is not None and evidence.at >= session.missing_since:
        session = _found(session)
    return session


def _answered(session: Session, evidence: Evidence) -> Session:
    attempts = 0 if evidence.reading is Reading.RUNNING else session.attempts + 1
    session = replace(session, asked_at=evidence.at, attempts=attempts, hint_at=None)
    if evidence.reading is Reading.NOT_FOUND:
        return _missing(session, evidence)
    return session if evidence.reading is Reading.UNKNOWN else _found(session)


def _stopped(session: Session, evidence: Evidence) -> Session:
    session = replace(session, stop_called_at=evidence.at, stop_tries=session.stop_tries + 1)
    if evidence.reading is Reading.NOT_FOUND:
        return replace(_missing(session, evidence), hint_at=evidence.at)
    if evidence.reading is Reading.UNKNOWN:
        return session
    # It was understood: ask soon whether the recording obeyed
    return replace(_found(session), asked_at=evidence.at, attempts=1)


def _missing(session: Session, evidence: Evidence) -> Session:
    """A 404 counts from a host that is known to serve this account, or from a second one."""
    hosts = tuple(dict.fromkeys((*session.missing_hosts, evidence.host)))
    session = replace(session, missing_hosts=hosts)
    if not evidence.trusted and len(hosts) < 2:
        return session
    since = evidence.at if session.missing_since is None else session.missing_since
    return replace(session, missing_since=since, missing_at=evidence.at)


def _found(session: Session) -> Session:
    return replace(session, missing_since=None, missing_at=None, missing_hosts=())


def _meaning(session: Session, evidence: Evidence) -> Session:
    reading = evidence.reading
    if reading in _SEEN_ALIVE:
        session = replace(session, alive_at=evidence.at, failing_over=False)
    if reading is Reading.RUNNING:
        session = replace(session, ended_at=None, ended_by=None, abnormal=False)
    if reading is Reading.FAILED_OVER:
        session = replace(session, failing_over=True, recorder_uid=evidence.uid)
    if reading is Reading.FATAL:
        session = replace(session, hint_at=evidence.at)
    if reading in _ENDS:
        session = _ended(session, evidence)
    return _closed(session, evidence) if reading in _CLOSES else session


def _ended(session: Session, evidence: Evidence) -> Session:
    abnormal = session.abnormal or evidence.reading is Reading.ABNORMAL
    if session.ended_at is not None:
        return replace(session, abnormal=abnormal)
    return replace(session, ended_at=evidence.at, ended_by=evidence.source, abnormal=abnormal)


def _closed(session: Session, evidence: Evidence) -> Session:
    told = evidence.reading.value
    return replace(
        session,
        closed_at=evidence.at,
        closed_reason="abnormal" if session.abnormal else told,
        closed_by=evidence.source,
        upload="" if evidence.reading is Reading.NO_DATA else told,
    )


def _after_the_end(session: Session, evidence: Evidence) -> Session:
    """Late evidence changes nothing that was told; it confirms or contradicts it."""
    if evidence.reading is Reading.RUNNING:
        return replace(session, afterwards="contradicted")
    if evidence.reading in _ENDS | _CLOSES and not session.afterwards:
        return replace(session, afterwards="confirmed")
    return session
