"""What the gateway itself says, in the vendor's shapes: `code` and `reason`, or `message`. Pure.

Codes and statuses are those of Docs-Source `status-codes.mdx`, with the legacy ones where nothing
else says what is wrong: whoever reads the vendor's answers reads these.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from agora_sidecar.agora.calls import ACQUIRE, NCS_IP, START
from agora_sidecar.agora.errors import ApiError, NoTurnError, Violation
from scheduler.recordings.door import Refused

MAX_REASON = 4000
"""Characters of a reason; a body can be wrong in very many places."""

BAD_PARAMETER = 2
WRONG_TYPE_OF_CONTENT = 8
ALREADY_STARTED = 7
OTHER_RESOURCE = 432
EXPIRED = 433
OTHER_SID = 1003


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: HTTP status and JSON body as bytes."""

    status: int
    body: bytes


def bad_request(violations: Iterable[Violation], *, code: int = BAD_PARAMETER) -> Answer:
    """400, all that is wrong in one reason."""
    return service(400, code, "; ".join(map(str, violations)))


def service(status: int, code: int, reason: str) -> Answer:
    """The recording service's shape."""
    return _answer(status, {"code": code, "reason": reason[:MAX_REASON]})


def message(status: int, text: str) -> Answer:
    """The shape of the vendor's own gateway."""
    return _answer(status, {"message": text})


def refused(why: Refused) -> Answer:
    """Somebody was not let in."""
    if why is Refused.NO_TOKEN:
        return message(401, "Unauthorized")
    if why is Refused.WRONG_TOKEN:
        return message(401, "Invalid authentication credentials")
    return message(421 if why is Refused.HOST else 403, why.value)


def no_route() -> Answer:
    """A path or a method that the vendor does not have."""
    return message(404, "no Route matched with those values")


def other_app_id() -> Answer:
    """An app id that is not served here."""
    return message(400, "appid is invalid")


def of_error(error: ApiError) -> Answer:
    """The vendor's answer as it came; where there is none of its shape, what it says of a time-out.

    Whether the vendor did what was asked is unknown then, as it is with its own time-outs.
    """
    if error.body and error.status is not None and error.status != 200:
        return Answer(error.status, error.body)
    if isinstance(error, NoTurnError):
        return message(429, "API rate limit exceeded")
    what = error.reason if error.status is None else f"HTTP {error.status}, {error.reason}"
    if error.call == NCS_IP:
        return message(504, f"no answer of the vendor's: {what}")
    status, code, text = {
        ACQUIRE: (500, 504, "allocate_timeout"),
        START: (500, 62, "request timeout"),
    }.get(error.call, (504, 62, "request timeout"))
    return service(status, code, f"{text}: no answer of the vendor's: {what}")


def internal_error() -> Answer:
    """A mistake of ours."""
    return service(500, 500, "internal_error")


def _answer(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(value))
