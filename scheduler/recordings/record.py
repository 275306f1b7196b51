"""A session as the flat hash of the ledger, and back. Pure. The hash is public to read."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec

from scheduler.recordings.ledger import SessionUnreadableError
from scheduler.recordings.session import Session
from scheduler.recordings.timeline import Kind, Note, Timeline

_NAMES = {field.name for field in fields(Session)}
_TEXT = {field.name for field in fields(Session) if field.type in {str, "str"}}
_PLAIN = _TEXT | {"state", "ended_by", "closed_by"}
"""Fields that are written as they are; the others are written as JSON."""
_BEGAN = {field.name: field.default for field in fields(Session)}
_ALWAYS = {"at", "kind", "what"}


def to_hash(session: Session) -> dict[str, str]:
    """Names and values; what is as it began is left out, the version too: the store counts."""
    values = {name: getattr(session, name) for name in _NAMES - {"version"}}
    return {
        name: _written(name, value)
        for name, value in values.items()
        if name == "state" or value != _BEGAN.get(name)
    }


def from_hash(sid: str, found: Mapping[bytes, bytes]) -> Session:
    """The session; fields that it does not know are ignored.

    Raises:
        SessionUnreadableError: somebody else wrote there.
    """
    try:
        values = {
            name: _read(name, value)
            for key, value in found.items()
            if (name := key.decode(errors="replace")) in _NAMES
        }
        session = msgspec.convert(values, Session)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SessionUnreadableError(sid, str(error)) from error
    if session.sid != sid:
        raise SessionUnreadableError(sid, "it speaks of another sid")
    return session


def _written(name: str, value: Any) -> str:
    if name in _PLAIN:
        return str(value)
    return msgspec.json.encode(_brief(value) if name == "timeline" else value).decode()


def _brief(timeline: Timeline) -> list[dict[str, Any]]:
    """What is as usual is left out: there are up to a few dozen notes for each recording."""
    usual = asdict(Note(0.0, Kind.EVENT, ""))
    return [
        {
            name: value
            for name, value in asdict(note).items()
            if name in _ALWAYS or value != usual[name]
        }
        for note in timeline
    ]


def _read(name: str, value: bytes) -> Any:
    return value.decode() if name in _PLAIN else msgspec.json.decode(value)
