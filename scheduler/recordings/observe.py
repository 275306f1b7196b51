"""One piece of evidence folded into what is known of a recording. Pure."""

from dataclasses import replace

from scheduler.recordings.sequences import dismissed
from scheduler.recordings.session import (
    NO_ANSWER,
    Evidence,
    Reading,
    Session,
    Source,
    State,
    hinted,
    transition,
    unhinted,
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
_LEFT = {Reading.LEAVING, Reading.EXITING, Reading.EXITED, Reading.ABNORMAL}
_ENDS = {Reading.EXITED, Reading.ABNORMAL}
_CLOSES = {Reading.UPLOADED, Reading.BACKUPED, Reading.NO_DATA}
_AT_WORK = {Reading.STARTED, Reading.RUNNING, Reading.ALIVE, Reading.FAILED_OVER}

STREAMS = 64
"""Streams remembered as arriving, of a recording; a channel has at most 17 users that are seen."""
SKEW = 30.0
"""Seconds by which the vendor's clock and ours may differ; an event within is only late."""


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
    since = session.missing_since if session.unfound_since is None else session.unfound_since
    if (session.missing_hosts or session.unfound) and evidence.at >= (since or 0):
        session = _found(session)
    return session


def _answered(session: Session, evidence: Evidence) -> Session:
    attempts = 0 if evidence.reading is Reading.RUNNING else session.attempts + 1
    session = replace(unhinted(session), asked_at=evidence.at, attempts=attempts)
    if evidence.reading is Reading.NOT_FOUND:
        return _missing(session, evidence)
    return session if evidence.reading in NO_ANSWER else _found(session)


def _stopped(session: Session, evidence: Evidence) -> Session:
    refused = evidence.text if evidence.reading is Reading.REFUSED else ""
    session = replace(
        session,
        stop_called_at=evidence.at,
        stop_tries=session.stop_tries + 1,
        stop_obstacle=refused,
    )
    if evidence.reading is Reading.NOT_FOUND:
        return hinted(_missing(session, evidence), "stop", at=evidence.at)
    if evidence.reading in NO_ANSWER:
        return session
    # It was understood: ask soon whether the recording obeyed
    return replace(_found(session), asked_at=evidence.at, attempts=1)


def _missing(session: Session, evidence: Evidence) -> Session:
    """A 404 counts from a host that is known to serve this account, or from a second one.

    One that is doubted makes void what was believed before: it began with the vendor's trouble, or
    went on because of it. One that is unsure neither begins nor prolongs anything. One that is
    older than what was heard since is outdated: it was compared for so long.
    """
    if session.heard_at is not None and session.heard_at > evidence.at:
        return session
    hosts = tuple(dict.fromkeys((*session.missing_hosts, evidence.host)))
    session = replace(session, missing_hosts=hosts)
    if not evidence.trusted and len(hosts) < 2:
        return session
    first = evidence.at if session.unfound_since is None else session.unfound_since
    session = replace(session, unfound_since=first, unfound_at=evidence.at)
    if evidence.doubted:
        return replace(session, missing_since=None, missing_at=None, doubted=True)
    if evidence.unsure:
        return session
    since = evidence.at if session.missing_since is None else session.missing_since
    return replace(session, missing_since=since, missing_at=evidence.at)


def _found(session: Session) -> Session:
    return replace(
        session,
        unfound_since=None,
        unfound_at=None,
        missing_since=None,
        missing_at=None,
        missing_hosts=(),
        doubted=False,
    )


def _meaning(session: Session, evidence: Evidence) -> Session:
    reading = evidence.reading
    if reading in _SEEN_ALIVE:
        session = replace(session, alive_at=evidence.at, failing_over=False)
    if reading is Reading.RUNNING:
        session = _recording(session)
    if reading is Reading.FAILED_OVER:
        session = _failed_over(session, evidence)
    if reading is Reading.FATAL:
        session = hinted(session, "error", at=evidence.at)
    session = _uploads(_idles(session, evidence), evidence)
    if reading in _ENDS:
        session = _ended(session, evidence)
    return _closed(session, evidence) if reading in _CLOSES else session


def _recording(session: Session) -> Session:
    """The vendor says that it records: whatever was believed of its end is void."""
    return replace(
        session,
        left_at=None,
        uploading_at=None,
        ended_at=None,
        ended_by=None,
        abnormal=False,
        lanes=dismissed(session.lanes),
    )


def _failed_over(session: Session, evidence: Evidence) -> Session:
    if evidence.uid and evidence.uid == session.recorder_uid:
        return session  # told twice, as some notifications are during a fail-over
    return replace(
        session,
        failing_over=True,
        recorder_uid=evidence.uid,
        fail_overs=session.fail_overs + 1,
    )


def _idles(session: Session, evidence: Evidence) -> Session:
    """Which streams arrive; without any, the recorder will leave by itself after a while."""
    if evidence.receiving is None:
        return session
    others = tuple(stream for stream in session.streams if stream != evidence.stream)
    streams = (*others, evidence.stream)[-STREAMS:] if evidence.receiving else others
    idle_since = None if streams else session.idle_since or evidence.at
    return replace(session, streams=streams, idle_since=idle_since)


def _uploads(session: Session, evidence: Evidence) -> Session:
    """Since when it is leaving, and when the uploader was last heard of after that."""
    if evidence.reading in _LEFT and session.left_at is None:
        session = replace(session, left_at=evidence.at)
    after = session.left_at is not None or session.ended_at is not None
    if after and evidence.reading in {Reading.PROGRESS, Reading.LEAVING, Reading.EXITING}:
        session = replace(session, uploading_at=evidence.at)
    return session


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
    if _contradicts(session, evidence):
        return replace(session, afterwards="contradicted")
    if evidence.reading in _ENDS | _CLOSES and not session.afterwards:
        return replace(session, afterwards="confirmed")
    return session


def _contradicts(session: Session, evidence: Evidence) -> bool:
    if evidence.reading is Reading.RUNNING:
        return True
    sent, closed = evidence.sent_at, session.closed_at
    at_work = evidence.reading in _AT_WORK and sent is not None and closed is not None
    return at_work and (sent or 0) > (closed or 0) + SKEW
