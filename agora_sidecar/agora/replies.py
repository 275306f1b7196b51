"""Answers of the REST API deciphered: a status and bytes in, a value or a sorted error out.

Success is exactly HTTP 200 with a JSON object; 201 and 206 are not. Two shapes of error bodies:
the gateway's `{"message": text}` and the service's `{"code": number, "reason": text}`, either of
which may lack its text. Source: Docs-Source `cloud-recording/rest-api/status-codes.mdx`; codes are
compared, texts are not (but for the one message that has no code).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agora_sidecar.agora import fields
from agora_sidecar.agora.errors import (
    ApiError,
    CredentialsError,
    LeavingError,
    NewAcquireError,
    NoDataError,
    NoWorkerError,
    RefusedError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.recordings import File, read_files

Kind = type[ApiError]

BY_STATUS_AND_CODE: Mapping[tuple[int, int], Kind] = {
    (201, 7): RefusedError,  # already started with this resource id
    (206, 65): RetryLaterError,  # reached the back end, no answer in time
    (206, 435): NoDataError,
    (206, 50): RetryLaterError,  # zh: a synchronous stop's upload took longer than 20 s
    (400, 49): LeavingError,
    (400, 433): NewAcquireError,  # resourceId expired
    (400, 1001): NewAcquireError,  # resourceId cannot be parsed
    (500, 502): NewAcquireError,  # start: no worker was found for this resource id
    (400, 406): SlowDownError,  # vendor_over_load: the quota of concurrent tasks
    (400, 405): CredentialsError,  # no_active_status: account suspended
    (400, 400): CredentialsError,  # invalid_appid
    (404, 404): NoWorkerError,
}
BY_STATUS: Mapping[int, Kind] = {401: CredentialsError, 429: SlowDownError}
APP_ID_MESSAGES = frozenset({"appid is invalid", "invalid appid"})

UPLOADED = "uploaded"
BACKUPED = "backuped"
UNKNOWN = "unknown"


_TASK = (("serverResponse", dict), ("resourceId", str), ("sid", str))
SHAPES: Mapping[str, tuple[tuple[str, type], ...]] = {
    "acquire": (("resourceId", str),),
    "start": (("sid", str),),
    "query": _TASK,
    "update": _TASK,
    "updateLayout": _TASK,
    "stop": _TASK,
    "ncs_ip": (("data", dict),),
}
"""What a 200 has at least one of, a text not empty; any other object is somebody else's."""


@dataclass(frozen=True, slots=True)
class Output:
    """One place that a page's recording is pushed to, and how that goes: `publishing`, …"""

    url: str
    status: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a page's recording; `state` is init, inProgress, exit or empty."""

    name: str
    state: str
    onhold: bool | None
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class QueryReply:
    """What `query` told; `status` is None where it did not say. `body` is the whole answer.

    `services` are those of a page's recording, none in the other modes.
    """

    host: str
    status: int | None
    files: tuple[File, ...]
    slice_start_ms: int | None
    uploading_status: str
    body: Mapping[str, Any]
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateReply:
    """The vendor took an `update` or `updateLayout`; what it tells are the names of the task."""

    host: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StopReply:
    """What `stop` told; `uploading_status` is uploaded, backuped, unknown or empty."""

    host: str
    uploading_status: str
    files: tuple[File, ...]
    body: Mapping[str, Any]


def decipher(call: str, *, host: str, status: int, body: bytes) -> dict[str, Any]:
    """The JSON object of a successful answer.

    Raises:
        ApiError: one of its kinds, by what the caller should do.
    """
    value = _json(body)
    if status == 200 and isinstance(value, dict):
        return value
    code, reason = _code_and_reason(value)
    readable = isinstance(value, dict)
    kind = _kind(status, code, reason, readable=readable)
    reason = reason if readable else "not a JSON object"
    kept = body if readable else b""
    raise kind(call, host=host, status=status, code=code, reason=reason, body=kept)


def check_shape(call: str, *, host: str, body: Mapping[str, Any]) -> None:
    """Accept what `decipher` returned as the vendor's answer of this call.

    Raises:
        UnexpectedAnswerError: it has nothing that such an answer has.
    """
    shape = SHAPES[call]
    if not any(isinstance(body.get(name), kind) and body[name] != "" for name, kind in shape):
        reason = f"no {' or '.join(name for name, _ in shape)} in the answer"
        raise UnexpectedAnswerError(call, host=host, status=200, reason=reason)


def read_query(body: Mapping[str, Any], *, host: str) -> QueryReply:
    """A `query` answer of any mode; odd inner types are passed over."""
    server = fields.mapping(body.get("serverResponse"))
    return QueryReply(
        host=host,
        status=fields.number(server.get("status")),
        files=_files(server),
        slice_start_ms=fields.number(server.get("sliceStartTime")),
        uploading_status=_uploading(server),
        body=body,
        services=tuple(_services(server)),
    )


def read_stop(body: Mapping[str, Any], *, host: str) -> StopReply:
    """A `stop` answer of any mode; odd inner types are passed over."""
    server = fields.mapping(body.get("serverResponse"))
    return StopReply(host, _uploading(server), _files(server), body)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _code_and_reason(value: Any) -> tuple[int | None, str]:
    body = fields.mapping(value)
    reason = fields.text(body.get("reason")) or fields.text(body.get("message"))
    # it goes into logs and terminals
    printable = "".join(character if character.isprintable() else " " for character in reason[:200])
    return fields.number(body.get("code")), printable


def _kind(status: int, code: int | None, reason: str, *, readable: bool) -> Kind:
    known = BY_STATUS_AND_CODE.get((status, code)) if code is not None else None
    if known is not None:
        return known
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:
        return RetryLaterError
    if status == 403 and readable:  # a proxy's 403 is a page
        return CredentialsError
    if status == 400 and readable:
        return CredentialsError if reason.lower() in APP_ID_MESSAGES else RefusedError
    return UnexpectedAnswerError


def _listed(value: Any) -> list[Mapping[str, Any]]:
    """The objects of an Array."""
    return (
        [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
    )


def _payload(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of one of web mode's services; `stop` spells the key `playload` in half of the pages."""
    return fields.mapping(service.get("payload")) or fields.mapping(service.get("playload"))


def _extensions(server: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_payload(service) for service in _listed(server.get("extensionServiceState"))]


def _services(server: Mapping[str, Any]) -> Iterator[Service]:
    for service in _listed(server.get("extensionServiceState")):
        payload = _payload(service)
        yield Service(
            name=fields.text(service.get("serviceName")),
            state=fields.text(payload.get("state")),
            onhold=fields.flag(payload.get("onhold")),
            outputs=tuple(
                Output(fields.text(one.get("rtmpUrl")), fields.text(one.get("status")))
                for one in _listed(payload.get("outputs"))
            ),
        )


def _files(server: Mapping[str, Any]) -> tuple[File, ...]:
    files = read_files(server.get("fileList"))
    for payload in _extensions(server):
        files += read_files(payload.get("fileList"))
    return files


def _uploading(server: Mapping[str, Any]) -> str:
    for place in (server, *_extensions(server)):
        status = fields.text(place.get("uploadingStatus"))
        if status:
            return UNKNOWN if status == "unknow" else status
    return ""
