"""What is kept of a recording on disk, as one line: its facts and what is wanted. Pure.

Evidence is not kept: after a loss it is asked for again. That it was seen alive and what was told
of it is, so that nothing is told twice.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from zlib import crc32

import msgspec

from scheduler.recordings.session import Session

_KEPT = (
    *("sid", "created_at", "started_at", "app_id", "resource_id", "mode", "cname", "uid", "source"),
    *("max_duration", "resource_expired_hour", "max_idle_time", "max_recording_hour"),
    *("file_name_prefix", "av_file_type", "stop_wanted", "stop_wanted_at", "findings"),
)
_FACTS = tuple(name for name in _KEPT if name not in {"sid", "created_at", "findings"})
_USUAL = {field.name: field.default for field in fields(Session)}


class KeptUnreadableError(Exception):
    """A line is not what was written."""


def to_line(session: Session) -> bytes:
    """The line of a recording that is open."""
    values = {name: getattr(session, name) for name in _KEPT}
    brief = {name: value for name, value in values.items() if value != _USUAL[name]}
    return _line(brief | {"alive": session.alive_at is not None})


def gone_line(sid: str) -> bytes:
    """The line that takes it away."""
    return _line({"sid": sid, "gone": True})


def from_line(line: bytes) -> tuple[str, Session | None]:
    """The sid, and the recording as it was registered; None: it is gone.

    Raises:
        KeptUnreadableError: the line is damaged.
    """
    digest, _, body = line.partition(b" ")
    if digest != b"%08x" % crc32(body):
        raise KeptUnreadableError
    try:
        values: Mapping[str, Any] = msgspec.json.decode(body)
        if values.get("gone"):
            return values["sid"], None
        known = {name: values[name] for name in _KEPT if name in values}
        known["alive_at"] = values["created_at"] if values.get("alive") else None
        session = msgspec.convert(known | {"registered": True}, Session)
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, AttributeError) as error:
        raise KeptUnreadableError from error
    return session.sid, session


def with_facts(session: Session, kept: Session | None) -> Session:
    """What the stream told of a recording, joined with what was registered."""
    if kept is None:
        return session
    facts: dict[str, Any] = {name: getattr(kept, name) for name in _FACTS}
    return replace(session, registered=True, **facts)


def _line(value: Mapping[str, Any]) -> bytes:
    body = msgspec.json.encode(value)
    return b"%08x " % crc32(body) + body
