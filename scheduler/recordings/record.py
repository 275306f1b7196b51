"""A session as the flat hash of the ledger, and back. Pure. The hash is public to read."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from scheduler.recordings.ledger import SessionUnreadableError
from scheduler.recordings.session import Session

_NAMES = {field.name for field in fields(Session)}
_TEXT = {field.name for field in fields(Session) if field.type in {str, "str"}}
_PLAIN = _TEXT | {"state", "ended_by", "closed_by"}
"""Fields that are written as they are; the others are written as JSON."""


def to_hash(session: Session) -> dict[str, str]:
    """Names and values; what is not known (None) is left out, the version too: the store counts."""
    values = {name: getattr(session, name) for name in _NAMES - {"version"}}
    return {name: _written(name, value) for name, value in values.items() if value is not None}


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
        return msgspec.convert(values, Session)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SessionUnreadableError(sid, str(error)) from error


def _written(name: str, value: Any) -> str:
    return str(value) if name in _PLAIN else msgspec.json.encode(value).decode()


def _read(name: str, value: bytes) -> Any:
    return value.decode() if name in _PLAIN else msgspec.json.decode(value)
