"""Server-sent events: one message a second for all who watch, no work while nobody does.

Everybody gets the newest message only; who reads slowly misses some, and holds nothing up. Who
does not read at all is let go.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from agora_sidecar.process.serving import end

INTERVAL = 1.0
"""Seconds between two messages."""
MOST = 8
"""Viewers at the same time; each costs a connection and a message a second."""
UNREAD = 15.0
"""Seconds that a message may wait to be read."""
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy must not collect what is to be seen now
}

Take = Callable[[], Awaitable[bytes]]
"""The message of now: one line."""


class Live:
    """One stream of messages, made by `take` while somebody watches."""

    def __init__(
        self, take: Take, *, interval: float = INTERVAL, most: int = MOST, unread: float = UNREAD
    ) -> None:
        self._take = take
        self._interval = interval
        self._most = most
        self._unread = unread
        self._message = b""
        self._number = 0
        self._news = asyncio.Condition()
        self._closed = False
        self._making: asyncio.Task[None] | None = None
        self.viewers = 0

    @property
    def working(self) -> bool:
        """Whether messages are being made."""
        return self._making is not None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send messages until the viewer or we go."""
        if self._closed or self.viewers >= self._most:
            return web.Response(status=503, text="too many watch", headers={"Retry-After": "10"})
        response = web.StreamResponse(headers=HEADERS)
        with self._watched(), suppress(ConnectionError):  # the viewer has gone
            await response.prepare(request)
            try:
                await self._send(response)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # what was not read is not waited for
        return response

    async def close(self) -> None:
        """Let everybody go."""
        self._closed = True
        async with self._news:
            self._news.notify_all()
        await self._rest()

    async def _send(self, response: web.StreamResponse) -> None:
        seen = 0
        while True:
            async with self._news:
                while not self._closed and self._number == seen:
                    await self._news.wait()
            if self._closed:
                return
            seen = self._number
            async with asyncio.timeout(self._unread):
                await response.write(b"data: " + self._message + b"\n\n")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self.viewers += 1
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())
        try:
            yield
        finally:
            self.viewers -= 1
            if not self.viewers and self._making is not None:
                self._making.cancel()
                self._making = None

    async def _make(self) -> None:
        while True:
            message = await self._take()
            async with self._news:
                self._message, self._number = message, self._number + 1
                self._news.notify_all()
            await asyncio.sleep(self._interval)

    async def _rest(self) -> None:
        making, self._making = self._making, None
        if making is not None:
            await end([making])
