"""The vendor's API gateway: route, credentials, rate, then the service; and each call's faults."""

import base64
import binascii
import hmac
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agora_sidecar.emulator import answers
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.pace import Pace

CONTROL = "/emulator/"
"""Paths that are ours and not the vendor's: no credentials, no rate, no faults."""

log = structlog.get_logger()


class Bucket:
    """So many requests a second, by the vendor's seconds; a second's worth may come at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._seen: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more request is within the rate."""
        passed = 0.0 if self._seen is None else now - self._seen
        self._seen = now
        self._left = min(self._per_second, self._left + passed * self._per_second)
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """Middleware around every handler; turns a `Refusal` into the vendor's answer."""

    def __init__(
        self,
        *,
        credentials: str,
        per_second: float,
        seed: int,
        pace: Pace,
        faults: Callable[[], Faults],
    ) -> None:
        self._credentials = credentials.encode()
        self._bucket = Bucket(per_second)
        self._seed = seed
        self._pace = pace
        self._faults = faults
        self._calls = 0
        self._rolled = 0

    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=…)`."""

        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await self._answer(request, handler)
            self._calls += 1
            number = dice(self._seed, "request", self._calls).getrandbits(128)
            response.headers["X-Request-Id"] = f"{number:032x}"
            return response

        return pass_gate

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await self._pass(request, handler)
        except Refusal as refusal:
            return answer(refusal.body, status=refusal.status, headers=refusal.headers)
        except web.HTTPRequestEntityTooLarge:
            return _refused(answers.bad_parameter("body is too large"))
        except web.RequestPayloadError:
            return _refused(answers.bad_parameter("body cannot be read"))
        except Exception:
            log.exception("emulator.request_failed", path=request.path[:200])
            return _refused(answers.failure("acquire"))

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            raise answers.no_route()
        if request.path.startswith(CONTROL):
            return await handler(request)
        self._authenticate(request.headers.get("Authorization"))
        if not self._bucket.take(self._pace.elapsed()):
            raise answers.too_fast()
        await self._go_wrong(request.match_info.route.name or "")
        return await handler(request)

    def _authenticate(self, header: str | None) -> None:
        if header is None:
            raise answers.no_credentials()
        scheme, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise answers.wrong_credentials() from None
        if scheme.lower() != "basic" or not hmac.compare_digest(given, self._credentials):
            raise answers.wrong_credentials()

    async def _go_wrong(self, endpoint: str) -> None:
        self._rolled += 1
        faults = self._faults()
        roll = dice(self._seed, "call", self._rolled)
        fail, slow = roll.random(), roll.random()
        if slow < faults.slow:
            await self._pace.sleep(faults.slow_seconds)
        if fail < faults.fail:
            raise answers.failure(endpoint)


def answer(
    body: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _refused(refusal: Refusal) -> web.Response:
    return answer(refusal.body, status=refusal.status)
