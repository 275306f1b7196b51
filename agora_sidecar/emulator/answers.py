"""The vendor's refusals: the gateway's with `message`, the service's with `code` and `reason`.

Texts and statuses: Docs-Source `cloud-recording/rest-api/status-codes.mdx`; the HTTP status of the
legacy codes 432, 433 and 1001 is documented nowhere, 400 is our choice.
"""

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer like any other, not a failure of ours
    """An answer other than 200: HTTP status, JSON body, headers."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def gateway(status: int, message: str) -> Refusal:
    """The API gateway's shape."""
    challenge = {"WWW-Authenticate": "Basic"} if status == 401 else {}
    return Refusal(status, {"message": message}, challenge)


def service(status: int, code: int, reason: str) -> Refusal:
    """The recording service's shape."""
    return Refusal(status, {"code": code, "reason": reason})


def bad_parameter(reason: str) -> Refusal:
    """400 with code 2: a parameter of the wrong type, misspelt, missing or out of range."""
    return service(400, 2, reason)


def bad_channel() -> Refusal:
    """A channel name with characters that no channel has."""
    return service(400, 401, "invalid_channel_name")


def bad_layout(reason: str) -> Refusal:
    """An `updateLayout` whose layout cannot be read."""
    return service(400, 1028, reason)


def other_start_parameter() -> Refusal:
    """A start whose `clientRequest` is not the `startParameter` of its acquire."""
    return bad_parameter("request_hash mismatch!")


def slow_upload() -> Refusal:
    """Stopped, and the upload takes longer than the answer to a stop waits."""
    return service(206, 50, "upload timed out")


def no_route() -> Refusal:
    """A wrong method or path."""
    return gateway(404, "no Route matched with those values")


def no_credentials() -> Refusal:
    """No Authorization header."""
    return gateway(401, "Unauthorized")


def wrong_credentials() -> Refusal:
    """A wrong pair or scheme."""
    return gateway(401, "Invalid authentication credentials")


def too_fast() -> Refusal:
    """More than 10 requests a second."""
    return gateway(429, "API rate limit exceeded")


def wrong_app_id() -> Refusal:
    """An app id for which the service is not enabled."""
    return gateway(400, "appid is invalid")


def overloaded() -> Refusal:
    """More tasks at once than the account's quota."""
    return service(400, 406, "vendor_over_load")


def already_started() -> Refusal:
    """A second start with the same resource id."""
    return service(201, 7, "already started")


def conflict() -> Refusal:
    """A start for a channel and uid that are being recorded through another resource id."""
    return service(400, 53, "task conflict")


def other_resource() -> Refusal:
    """App id, channel or uid are not the ones of the resource id."""
    return service(400, 432, "parameter does not match the resourceId")


def expired_resource() -> Refusal:
    """A resource id that was not used for 5 minutes."""
    return service(400, 433, "resourceId expired")


def unknown_resource() -> Refusal:
    """A resource id that was never given out."""
    return service(400, 1001, "resourceId cannot be parsed")


def no_worker() -> Refusal:
    """No such task: ended, never started, or failing over."""
    return service(404, 404, "failed to find worker")


def leaving() -> Refusal:
    """A stop for a task that is already on its way out."""
    return service(400, 49, "invalid operation")


def no_data() -> Refusal:
    """Stopped, and nobody had published anything."""
    return service(206, 435, "no recorded data")


def incomplete() -> Refusal:
    """It reached the back end and was not answered in time."""
    return service(206, 65, "request not completed")


TIMEOUT = (504, 62, "request timeout")
FAILURES = {
    "acquire": (
        (500, 500, "internal_error"),
        (500, 501, "no_worker_manager_available"),
        (500, 504, "allocate_timeout"),
    ),
    "start": ((500, 502, "Failed to allocate worker"), (500, 62, "request timeout")),
    "query": (TIMEOUT,),
    "update": (TIMEOUT,),
    "updateLayout": (TIMEOUT,),
    "stop": (TIMEOUT,),
}
"""What each endpoint says when the vendor's side is to blame: status, code, reason."""


def failure(endpoint: str, which: float = 0.0) -> Refusal:
    """A 5xx as this endpoint gives it; `which` of them, from 0 to 1."""
    known = FAILURES.get(endpoint)
    if known is None:
        return gateway(500, "An unexpected error occurred")
    return service(*known[min(int(which * len(known)), len(known) - 1)])


MAY_BE_INCOMPLETE = frozenset({"start", "query", "update", "updateLayout", "stop"})
"""The endpoints that 206 with code 65 is documented for."""
