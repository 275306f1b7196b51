"""What consumers are told of a recording: the JSON in a finding's `data`. Pure."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from scheduler.recordings.decide import stop_owed
from scheduler.recordings.ledger import Change, Finding
from scheduler.recordings.naming import expected_files
from scheduler.recordings.session import Session


def started(session: Session) -> Change:
    """`query` confirmed a recording of which no event came."""
    return _change(session, "started", {"toldBy": "query"})


def closed(session: Session) -> Change:
    """The end of a recording: the reason, who told, the files and the evidence."""
    return _change(
        session,
        "closed",
        {
            "reason": session.closed_reason,
            "toldBy": session.closed_by,
            "closedAt": moment(session.closed_at),
            "endedAt": moment(session.ended_at),
            "stopWanted": session.stop_wanted or None,
            "upload": session.upload or None,
            "fileList": _files(session),
            "expectedFiles": list(expected_files(session)),
        },
    )


def told(session: Session, kind: str, why: str) -> Change:
    """What is no end, but worth knowing: `stop_refused`, `upload_overdue`, `unaskable`."""
    facts: dict[str, Any] = {"why": why, "state": session.state}
    if kind == "stop_refused":
        facts["stopWanted"] = session.stop_wanted or "max_duration"
    if kind == "upload_overdue":
        facts |= {"endedAt": moment(session.ended_at or session.left_at)}
        facts |= {"fileList": _files(session), "expectedFiles": list(expected_files(session))}
    return _change(session, kind, facts)


def describe(session: Session, *, now: float) -> dict[str, Any]:
    """A session for people and programs: `GET /recordings/{sid}`."""
    shown = asdict(session)
    times = {name: value for name, value in shown.items() if name.endswith(("_at", "_since"))}
    shown |= {name: moment(value) for name, value in times.items()}
    shown["timeline"] = timeline(session)
    shown["files"] = _files(session)
    shown["expected_files"] = list(expected_files(session))
    shown["unaskable"] = not session.askable(now)
    silent_since = None if session.closed_at is not None else session.heard_at
    shown["silent_for"] = None if silent_since is None else round(now - silent_since, 1)
    shown["unaskable_why"] = session.unaskable(now) or None
    shown["wanted"] = _wanted(session, now=now)
    return {_camel(name): value for name, value in shown.items()}


def brief(session: Session, *, now: float) -> dict[str, Any]:
    """A session on one line, for `/status`."""
    return {
        "sid": session.sid,
        "cname": session.cname,
        "state": session.state,
        "startedAt": moment(session.started_at),
        "silentFor": None if session.heard_at is None else round(now - session.heard_at, 1),
        "unaskable": not session.askable(now),
        "failingOver": session.failing_over,
        "wanted": _wanted(session, now=now),
    }


def moment(at: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC; None where it is not known or no calendar has it."""
    if at is None or not 0 <= at < 253_402_300_800:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _wanted(session: Session, *, now: float) -> str:
    return "stopped" if stop_owed(session, now=now) else "recording"


def _change(session: Session, kind: str, facts: dict[str, Any]) -> Change:
    """The session that knows that it was told, and the finding."""
    finding = Finding(kind, msgspec.json.encode({**_facts(session), **facts}))
    return Change(replace(session, findings=(*session.findings, kind)), finding)


def _facts(session: Session) -> dict[str, Any]:
    return {
        "sid": session.sid,
        "appId": session.app_id,
        "cname": session.cname,
        "uid": session.uid,
        "mode": session.mode,
        "startedAt": moment(session.started_at),
        "registered": session.registered,
        "evidence": _evidence(session),
    }


def _files(session: Session) -> list[dict[str, Any]]:
    """The files in the vendor's own spelling; what it did not tell is left out."""
    known = (
        {
            "fileName": file.name,
            "trackType": file.track_type or None,
            "uid": file.uid or None,
            "mixedAllUser": file.mixed_all_user,
            "isPlayable": file.is_playable,
            "sliceStartTime": file.slice_start_ms,
        }
        for file in session.files
    )
    return [{key: value for key, value in file.items() if value is not None} for file in known]


def timeline(session: Session) -> list[dict[str, Any]]:
    """What happened, the oldest first; what a note does not have is left out."""
    return [
        {
            "at": moment(note.at),
            "kind": note.kind,
            "what": note.what,
            **({"reading": note.reading} if note.reading else {}),
            **({"host": note.host} if note.host else {}),
            **({"count": note.count, "until": moment(note.until)} if note.count > 1 else {}),
        }
        for note in session.timeline
    ]


def _evidence(session: Session) -> list[dict[str, Any]]:
    """What others told, as consumers get it."""
    return [
        {
            "time": moment(note.at),
            "source": note.kind,
            "reading": note.reading,
            "text": note.what,
            **({"host": note.host} if note.host else {}),
            **({"count": note.count, "until": moment(note.until)} if note.count > 1 else {}),
        }
        for note in session.timeline
        if note.reading
    ]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
