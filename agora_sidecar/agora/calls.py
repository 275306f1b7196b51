"""Calls of the REST API as values: which method and path, what body, what may be repeated. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agora_sidecar.agora.errors import RefusedError
from agora_sidecar.agora.paths import cloud_recording_path, task_path
from agora_sidecar.agora.recordings import Recording

ACQUIRE = "acquire"
START = "start"
QUERY = "query"
UPDATE = "update"
UPDATE_LAYOUT = "updateLayout"
STOP = "stop"
NCS_IP = "ncs_ip"
CALLS = (ACQUIRE, START, QUERY, UPDATE, UPDATE_LAYOUT, STOP, NCS_IP)
"""As the last part of the paths is spelled; the address list stands apart."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `content` is its body as it is sent.

    `repeatable`: even if it may have been received; a resource id too many is none that is started.
    `patient`: a host that was reached may use all the time there is, as asking another one after
    that is useless (a synchronous stop) or forbidden (start). `after` names what may be called
    about only after the previous answer (the reference, `update`); empty: no matter. `avoid` is the
    host that is asked last, where another one's word is wanted.
    """

    name: str
    method: str
    path: str
    content: bytes | None = None
    repeatable: bool = True
    patient: bool = False
    after: str = ""
    avoid: str = ""


def acquire(app_id: str, body: Mapping[str, Any]) -> Call:
    """A resource id is wanted.

    Raises:
        RefusedError: what cannot be in a path or in JSON; so do the others.
    """
    path = cloud_recording_path(ACQUIRE, app_id, ACQUIRE)
    return Call(ACQUIRE, "POST", path, content(ACQUIRE, body))


def start(app_id: str, *, resource_id: str, mode: str, body: Mapping[str, Any]) -> Call:
    """A recording shall begin."""
    place = ("resourceid", resource_id, "mode", mode, START)
    path = cloud_recording_path(START, app_id, *place)
    return Call(START, "POST", path, content(START, body), repeatable=False, patient=True)


def query(recording: Recording, *, avoid: str = "") -> Call:
    """What is known of a task?"""
    return Call(QUERY, "GET", task_path(QUERY, recording), avoid=avoid)


def about(
    name: str, recording: Recording, body: Mapping[str, Any], *, patient: bool = False
) -> Call:
    """`update`, `updateLayout` or `stop` of a task; the first two one after the other."""
    after = "" if name == STOP else recording.sid
    sent = content(name, body)
    return Call(name, "POST", task_path(name, recording), sent, patient=patient, after=after)


def content(name: str, body: Mapping[str, Any]) -> bytes:
    """A body as it is sent.

    Raises:
        RefusedError: it cannot be written as JSON.
    """
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedError(name, reason="the request cannot be written as JSON") from error
