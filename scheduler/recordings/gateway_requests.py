"""One request of the business server as a value; what it would be to the vendor. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agora_sidecar.agora import calls, fields
from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.requests import spelled
from scheduler.recordings import start_facts
from scheduler.recordings.gateway_ties import Tie
from scheduler.recordings.registration import Registration

ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")
"""A sid as it can be noted."""


class NotJsonError(Exception):
    """The body is none, or not an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request: what its path names, its body as it came and as it is understood."""

    name: str
    method: str
    path: str
    app_id: str = ""
    resource_id: str = ""
    sid: str = ""
    mode: str = ""
    raw: bytes = b""
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def client_request(self) -> Mapping[str, Any]:
        """Its `clientRequest`, or nothing."""
        return fields.mapping(self.body.get("clientRequest"))


def read_body(raw: bytes) -> Mapping[str, Any]:
    """The JSON object that a body is.

    Raises:
        NotJsonError: it is none.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotJsonError from None
    if not isinstance(value, dict):
        raise NotJsonError
    return value


def to_vendor(incoming: Incoming) -> Call:
    """The same call: the same bytes, but for a property's other spelling."""
    stops = incoming.name == calls.STOP
    starts = incoming.name == calls.START
    updates = incoming.name in {calls.UPDATE, calls.UPDATE_LAYOUT}
    waits = stops and incoming.client_request.get("async_stop") is not True
    return Call(
        incoming.name,
        incoming.method,
        incoming.path,
        _content(incoming),
        repeatable=not starts,
        patient=starts or waits,
        after=incoming.sid if updates else "",
    )


def _content(incoming: Incoming) -> bytes | None:
    if incoming.method == "GET":
        return None
    if not incoming.body or incoming.name not in SPELLED:
        return incoming.raw
    written = spelled(incoming.name, incoming.body)
    return incoming.raw if written == incoming.body else msgspec.json.encode(written)


SPELLED = frozenset({calls.ACQUIRE, calls.START, calls.UPDATE})
"""Calls whose bodies have properties with several spellings."""


def facts(
    incoming: Incoming, *, sid: str, tie: Tie | None, told: Mapping[str, Any]
) -> Registration | None:
    """What is known of a recording after this call; None where that is not enough.

    `told` is the vendor's answer: a query has no body to take channel and uid from.
    """
    cname, uid = (
        fields.text(incoming.body.get(name)) or fields.text(told.get(name))
        for name in ("cname", "uid")
    )
    if not (cname and uid and ID.fullmatch(sid)):
        return None
    started = incoming.client_request if incoming.name == calls.START else {}
    idle = fields.number(fields.mapping(started.get("recordingConfig")).get("maxIdleTime"))
    return Registration(
        sid=sid,
        app_id=incoming.app_id,
        resource_id=incoming.resource_id,
        mode=incoming.mode,
        cname=cname,
        uid=uid,
        source="default",
        started_at=None,
        max_duration=None,
        resource_expired_hour=None if tie is None else tie.hours,
        max_idle_time=None if idle is None else float(idle),
        max_recording_hour=start_facts.max_recording_hour(started),
        file_name_prefix=start_facts.file_name_prefix(started),
        av_file_type=start_facts.av_file_type(started),
    )
