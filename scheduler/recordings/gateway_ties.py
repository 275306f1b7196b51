"""What one call ties the next ones to: resource id, channel, uid, mode, `startParameter`. Pure.

The reference: a resource id is for one start, within two seconds; `startParameter` is start's
`clientRequest`; channel, uid and mode stay. Only what passed through here is known: of anything
else the vendor judges.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from agora_sidecar.agora.errors import Violation
from agora_sidecar.agora.requests.bodies import COMMON, MODES_OF_SCENE, POSTPONED
from agora_sidecar.agora.requests.check import kind_of
from agora_sidecar.agora.requests.recording import POSTPONE
from scheduler.recordings import gateway_answers as say
from scheduler.recordings.gateway_answers import Answer

START_WITHIN = 2.0
"""Seconds from acquire to start."""
LIFETIME = 300.0
"""Seconds that a resource id waits for its start."""
MOST = 10_000
"""Resource ids that are remembered; an account has some hundred recordings at a time."""


@dataclass(frozen=True, slots=True)
class Tie:
    """One resource id: what it was acquired for, and whether it was used. `at` is monotonic.

    `parameter` is a digest: the original holds keys. `tried`: a start was sent; `used`: one was
    answered, or is under way.
    """

    app_id: str
    cname: Any
    uid: Any
    scene: int
    parameter: bytes | None
    hours: float | None
    at: float
    tried: bool = False
    used: bool = False


class Ties:
    """The resource ids that passed through here, of the last ones as many as `MOST`."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ties: dict[str, Tie] = {}

    def acquired(
        self, resource_id: str, *, app_id: str, body: Mapping[str, Any], now: float
    ) -> None:
        """An acquire was answered with this resource id."""
        request = _mapping(body.get("clientRequest"))
        scene, hours = request.get("scene"), request.get("resourceExpiredHour")
        parameter = request.get("startParameter")
        self._ties[resource_id] = Tie(
            app_id=app_id,
            cname=body.get("cname"),
            uid=body.get("uid"),
            scene=scene if type(scene) is int else COMMON,
            parameter=None if parameter is None else self._digest(parameter),
            hours=float(hours) if type(hours) is int else None,
            at=now,
        )
        while len(self._ties) > MOST:
            del self._ties[next(iter(self._ties))]

    def get(self, resource_id: str) -> Tie | None:
        """What is known of a resource id."""
        return self._ties.get(resource_id)

    def trying(self, resource_id: str) -> None:
        """A start with it is sent."""
        self._change(resource_id, tried=True, used=True)

    def failed(self, resource_id: str) -> None:
        """That start was answered by an error, or not at all: the same may be sent again."""
        self._change(resource_id, used=False)

    def refuse_start(
        self, resource_id: str, *, mode: str, body: Mapping[str, Any], now: float
    ) -> Answer | None:
        """Why the vendor would not start this, or should not be asked to."""
        tie = self._ties.get(resource_id)
        if tie is None:
            return None
        if tie.used:
            reason = "already started: a resource id is for one start; acquire another one"
            return say.service(201, say.ALREADY_STARTED, reason)
        waited = now - tie.at
        if waited > LIFETIME or (waited > START_WITHIN and not tie.tried):
            reason = (
                f"resourceId expired: start came {waited:.1f} s after acquire; "
                f"the reference allows {START_WITHIN:.0f} s: acquire again"
            )
            return say.service(400, say.EXPIRED, reason)
        if others := list(differing(body, cname=tie.cname, uid=tie.uid, told="acquire")):
            return say.bad_request(others, code=say.OTHER_RESOURCE)
        odd = list(self._odd(tie, mode, _mapping(body.get("clientRequest"))))
        return say.bad_request(odd) if odd else None

    def _odd(self, tie: Tie, mode: str, request: Mapping[str, Any]) -> Iterator[Violation]:
        modes = MODES_OF_SCENE.get(tie.scene, ())
        if modes and mode not in modes:
            rule = f"must be {' or '.join(modes)} after acquire with scene {tie.scene}"
            yield Violation("mode", rule, "String")
        if tie.scene == POSTPONED and "appsCollection" not in request:
            rule = f"is required after acquire with scene {POSTPONED}"
            yield Violation("clientRequest.appsCollection", rule, "missing")
        policy = _mapping(request.get("appsCollection")).get("combinationPolicy")
        if tie.scene != POSTPONED and policy == POSTPONE:
            rule = f'can be "{POSTPONE}" only after acquire with scene {POSTPONED}'
            yield Violation("clientRequest.appsCollection.combinationPolicy", rule, "String")
        if tie.parameter is not None and tie.parameter != self._digest(request):
            rule = "must be equal to acquire's startParameter"
            yield Violation("clientRequest", rule, "Object")

    def _change(self, resource_id: str, **changes: bool) -> None:
        tie = self._ties.get(resource_id)
        if tie is not None:
            self._ties[resource_id] = replace(tie, **changes)  # type: ignore[arg-type]

    def _digest(self, value: Any) -> bytes:
        text = msgspec.json.encode(value, order="deterministic")
        return hmac.new(self._key, text, hashlib.sha256).digest()


def differing(body: Mapping[str, Any], *, cname: Any, uid: Any, told: str) -> Iterator[Violation]:
    """What names the recorder otherwise than the call before it."""
    for name, before in (("cname", cname), ("uid", uid)):
        if body.get(name) != before:
            yield Violation(name, f"must be that of {told}", kind_of(body.get(name)))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
