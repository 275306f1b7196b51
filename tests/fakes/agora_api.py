"""Agora's REST API as a small server: answers what it is told, remembers what it was asked."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `path` is as it came, nothing unquoted."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class AgoraApi:
    """Serve `application`. Each lever holds until the next one is used; at first it answers 200 `{}`.

    `asked` has every request in order, `at_once` the most that were in flight at a time.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.at_once = 0
        self._in_flight = 0
        self._news = asyncio.Condition()
        self.say({})

    @property
    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    def say(self, body: object, *, status: int = 200, request_id: str = "r-1") -> None:
        """This value as JSON."""
        self.say_bytes(json.dumps(body).encode(), status=status, request_id=request_id)

    def say_bytes(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        request_id: str = "r-1",
    ) -> None:
        """These bytes."""

        async def answer(_: web.Request) -> web.StreamResponse:
            headers = {"Content-Type": content_type, "X-Request-Id": request_id}
            return web.Response(body=body, status=status, headers=headers)

        self._answer = answer

    def say_html(self, *, status: int = 200) -> None:
        """A page, as a proxy or a captive portal would."""
        self.say_bytes(b"<html>hello</html>", status=status, content_type="text/html")

    def redirect(self, location: str) -> None:
        """302 to somewhere else."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": location})

        self._answer = answer

    def wait_for(self, event: asyncio.Event) -> None:
        """The present answer, but only after this event."""
        then = self._answer

        async def answer(request: web.Request) -> web.StreamResponse:
            await event.wait()
            return await then(request)

        self._answer = answer

    def hang(self) -> None:
        """No answer at all; the connection stays open."""
        self.wait_for(asyncio.Event())

    def cut(self) -> None:
        """Close the connection without a word."""

        async def answer(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self._answer = answer

    def truncate(self, body: bytes) -> None:
        """Promise twice as much as is sent, then close."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": str(2 * len(body))})
            await response.prepare(request)
            await response.write(body)
            assert request.transport is not None
            request.transport.close()
            return response

        self._answer = answer

    def trickle(self) -> None:
        """A body without an end, byte by byte: never silent for long, never finished."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)

        self._answer = answer

    def flood(self) -> None:
        """A body without an end, as fast as it is read."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 65536)

        self._answer = answer

    async def was_asked(self, times: int) -> None:
        """Return when so many requests have come; fail after five seconds."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= times)

    def json_asked(self, number: int = -1) -> Any:
        """The body of one request."""
        return json.loads(self.asked[number].body)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            Asked(request.method, request.raw_path, request.headers, await request.read())
        )
        async with self._news:
            self._news.notify_all()
        self._in_flight += 1
        self.at_once = max(self.at_once, self._in_flight)
        try:
            return await self._answer(request)
        finally:
            self._in_flight -= 1
