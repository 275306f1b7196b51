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
from agora_sidecar.emulator.asked import Asked
from agora_sidecar.emulator.fates import decide_call
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.script import Script

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
        asked: Asked,
        script: Script,
        faults: Callable[[], Faults],
    ) -> None:
        self._credentials = credentials.encode()
        self._bucket = Bucket(per_second)
        self._seed = seed
        self._pace = pace
        self._asked = asked
        self._script = script
        self._faults = faults
        self._calls = 0
        self._rolled = 0

    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=…)`."""

        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await self._answer(request, handler)
            if not request.path.startswith(CONTROL):
                await self._write_down(request, response)
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

    async def _write_down(self, request: web.Request, response: web.StreamResponse) -> None:
        try:
            body = await request.read()
        except (web.HTTPException, web.RequestPayloadError, OSError):
            body = b""
        given = response.body if isinstance(response, web.Response) else b""
        self._asked.add(
            method=request.method,
            path=request.path,
            endpoint=endpoint_of(request),
            body=body,
            status=response.status,
            answer=given if isinstance(given, bytes) else b"",
        )

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            raise answers.no_route()
        if request.path.startswith(CONTROL):
            return await handler(request)
        self._authenticate(request.headers.get("Authorization"))
        if not self._bucket.take(self._pace.elapsed()):
            raise answers.too_fast()
        return await self._serve(request, handler)

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

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = endpoint_of(request)
        self._rolled += 1
        fate = decide_call(self._faults(), dice(self._seed, "call", self._rolled))
        if fate.throttled:
            raise answers.too_fast()
        if fate.slow:
            await self._pace.sleep(self._faults().slow_seconds)
        if fate.cut:
            return _cut(request)
        if fate.failed:
            raise answers.failure(endpoint, fate.which)
        incomplete = fate.incomplete and endpoint in answers.MAY_BE_INCOMPLETE
        if incomplete and not fate.done:
            raise answers.incomplete()
        if line := self._script.take(endpoint):
            return web.Response(text=line.body, status=line.status, content_type=line.content_type)
        response = await handler(request)
        if incomplete:
            raise answers.incomplete()
        return _cut(request) if fate.cut_late else response


def endpoint_of(request: web.Request) -> str:
    """The route's name without its region; empty where there is no route."""
    return (request.match_info.route.name or "").partition(".")[0]


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere


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
