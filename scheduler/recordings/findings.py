"""What consumers are told of a recording: the JSON in a finding's `data`. Pure."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from scheduler.recordings.ledger import Finding
from scheduler.recordings.session import Session


def started(session: Session) -> Finding:
    """`query` confirmed a recording of which no event came."""
    return Finding("started", _encoded({**_facts(session), "toldBy": "query"}))


def closed(session: Session) -> Finding:
    """The end of a recording: the reason, who told, the files and the evidence."""
    return Finding(
        "closed",
        _encoded(
            {
                **_facts(session),
                "reason": session.closed_reason,
                "toldBy": session.closed_by,
                "closedAt": moment(session.closed_at),
                "endedAt": moment(session.ended_at),
                "stopWanted": session.stop_wanted or None,
                "upload": session.upload or None,
                "fileList": _files(session),
            }
        ),
    )


def describe(session: Session, *, now: float) -> dict[str, Any]:
    """A session for people and programs: `GET /recordings/{sid}`."""
    shown = asdict(session)
    times = {name: value for name, value in shown.items() if name.endswith(("_at", "_since"))}
    shown |= {name: moment(value) for name, value in times.items()}
    shown["timeline"] = timeline(session)
    shown["files"] = _files(session)
    shown["unaskable"] = not session.askable(now)
    shown["wanted"] = "stopped" if session.stop_wanted else "recording"
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
        "wanted": "stopped" if session.stop_wanted else "recording",
    }


def moment(at: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC; None where it is not known or no calendar has it."""
    if at is None or not 0 <= at < 253_402_300_800:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


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


def _encoded(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
