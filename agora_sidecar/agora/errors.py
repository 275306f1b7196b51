"""The tree of errors, sorted by what the caller does.

AgoraError
├── NotificationError            a callback was not what it should be; knows the answer's status
│   ├── SignatureError             401: nothing of it is stored
│   └── UnreadableError            200: signed, but not as documented; goes to the quarantine
├── AddressListError             a poll failed: nothing changes
└── ApiError                     a call of ours was not answered with what we asked for
    ├── RetryLaterError            the same again, later
    │   ├── NoTurnError              the account's budget of calls had none left in time
    │   └── SlowDownError            and everything slower: 429, or a quota
    ├── RefusedError               never again like this: our request is wrong
    │   ├── InvalidRequestError      found here, before anything was sent; knows all that is wrong
    │   ├── NewAcquireError          the resource id is of no use: acquire another one, then start
    │   ├── CredentialsError         the customer id, its secret or the app id
    │   └── LeavingError             400/49: a stop is already under way; ask
    ├── NoWorkerError              the vendor's own 404: it knows no such task, for now
    ├── NoDataError                206/435: stopped, nothing was recorded
    └── UnexpectedAnswerError      not the vendor's shape: a proxy, a route, a new contract
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AgoraError(Exception):
    """Root of all errors about the vendor's contract."""


class NotificationError(AgoraError):
    """A callback was not what it should be.

    `reason` is a short word for logs and metrics; `status` is the HTTP status to answer.
    """

    status = 500

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class SignatureError(NotificationError):
    """Nobody who knows a current secret signed these bytes.

    `reason` is `missing`, `malformed` or `mismatch`.
    """

    status = 401


class UnreadableError(NotificationError):
    """Signed by the vendor, but not what the vendor documents.

    Answered 200: the vendor would only repeat it, four times at most, and then it is lost.
    """

    status = 200


class AddressListError(AgoraError):
    """An answer of the address list endpoint that must change nothing.

    `reason` is a short word for logs and metrics.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


RETRY = "retry"
SLOW_DOWN = "slow down"
ACQUIRE_ANEW = "acquire anew"
ASK_AGAIN = "ask again"
GIVE_UP = "give up"
"""What to do about an error of the API, in a word."""


class ApiError(AgoraError):
    """A call of the REST API was not answered with what we asked for.

    `call` is the endpoint's name, `host` who answered (empty: nobody), `status` the HTTP status
    (`None`: no answer), `code` and `reason` are from the body where it had them. `body` is the
    answer as it came if it was a JSON object; `request_id` is the vendor's name of the call.
    """

    advice = GIVE_UP

    def __init__(
        self,
        call: str,
        *,
        host: str = "",
        status: int | None = None,
        code: int | None = None,
        reason: str = "",
        body: bytes = b"",
    ) -> None:
        facts = [f"HTTP {status}" if status is not None else "no answer"]
        if code is not None:
            facts.append(f"code {code}")
        if reason:
            facts.append(reason)
        super().__init__(f"{call}: {', '.join(facts)}" + (f" from {host}" if host else ""))
        self.call = call
        self.host = host
        self.status = status
        self.code = code
        self.reason = reason
        self.body = body
        self.request_id = ""


class RetryLaterError(ApiError):
    """The same request may succeed later: 5xx, 206 with code 65, a time-out, no connection."""

    advice = RETRY


class NoTurnError(RetryLaterError):
    """Nothing was sent: the budget of calls had no turn within the deadline."""


class SlowDownError(RetryLaterError):
    """All calls of this account must slow down: 429, or 400 for a quota."""

    advice = SLOW_DOWN


class RefusedError(ApiError):
    """This request will never succeed as it is."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing in a body that the reference does not allow.

    `path` is where, `rule` goes on from there, `got` is the JSON type that is there: never a value,
    which may be a secret.
    """

    path: str
    rule: str
    got: str

    def __str__(self) -> str:
        """As a sentence."""
        return f"{self.path} {self.rule} ({self.got})"


class InvalidRequestError(RefusedError):
    """The reference does not allow this request; nothing was sent."""

    def __init__(self, call: str, violations: Sequence[Violation]) -> None:
        super().__init__(call, reason="; ".join(map(str, violations)))
        self.violations = tuple(violations)


class NewAcquireError(RefusedError):
    """The resource id is expired or unreadable, or no worker was found for it: acquire again."""

    advice = ACQUIRE_ANEW


class CredentialsError(RefusedError):
    """Customer id, customer secret or app id are not accepted; somebody must be told."""


class LeavingError(RefusedError):
    """Code 49: the recording is already being stopped."""

    advice = ASK_AGAIN


class NoWorkerError(ApiError):
    """HTTP 404 with JSON `code` 404: the vendor finds no such task.

    It ended, never started, or is failing over (up to 90 s): evidence only when it lasts.
    """

    advice = ASK_AGAIN


class NoDataError(ApiError):
    """HTTP 206 with code 435: stopped, and nobody had published anything."""


class UnexpectedAnswerError(ApiError):
    """An answer that is not of the vendor's shape; says nothing about the recording."""

    advice = ASK_AGAIN
