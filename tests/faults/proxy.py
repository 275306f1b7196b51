"""A TCP proxy that can refuse, hang, be slow, and cut connections in the middle of anything."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

CHUNK = 64 * 1024
"""Bytes read at once."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send a reset instead of an end."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Upstream = Callable[[], Awaitable[Streams]]
"""Connects to whom is forwarded; raises OSError."""


class _Link:
    """Two connections joined; `left` are the bytes each direction may still carry."""

    def __init__(self, near: Streams, far: Streams) -> None:
        self.near = near
        self.far = far
        self.left: dict[str, int] = {}

    def cut(self, *, reset: bool) -> None:
        for _, writer in (self.near, self.far):
            if reset:
                with suppress(OSError):
                    connected = writer.get_extra_info("socket")
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class Proxy:
    """Forwards 127.0.0.1:`port` to `upstream`, as badly as it is told.

    `reach` are the most bytes that a direction carries before it is cut: `up` to the server,
    `down` from it.
    """

    def __init__(
        self, port: int, upstream: Upstream, *, rng: Random, reach: dict[str, int]
    ) -> None:
        self.port = port
        self._upstream = upstream
        self._rng = rng
        self._reach = reach
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cutting = False
        self.delay = 0.0
        """Seconds at most that each piece takes longer."""

    async def accept(self) -> None:
        """Listen (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Drop every connection and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()

    def drop(self) -> None:
        """Cut every connection now."""
        for link in list(self._links):
            link.cut(reset=self._rng.random() < 0.5)

    def hang(self) -> None:
        """Forward nothing; what was sent meanwhile arrives later."""
        self._flowing.clear()

    def cut(self) -> None:
        """Cut each connection, new ones too, after some random number of bytes."""
        self._cutting = True
        for link in self._links:
            self._doom(link)

    async def mend(self) -> None:
        """Be a good proxy again."""
        self._cutting = False
        self.delay = 0.0
        self._flowing.set()
        for link in self._links:
            link.left.clear()
        await self.accept()

    def _doom(self, link: _Link) -> None:
        way = self._rng.choice(("up", "down"))
        link.left[way] = self._rng.randrange(self._reach[way])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await self._upstream()
        except OSError:
            writer.transport.abort()
            return
        link = _Link((reader, writer), far)
        self._links.add(link)
        if self._cutting:
            self._doom(link)
        try:
            await asyncio.gather(self._pump(link, "up"), self._pump(link, "down"))
        except (OSError, asyncio.CancelledError):  # a proxy that ends cancels what it serves
            pass
        finally:
            self._links.discard(link)
            link.cut(reset=False)

    async def _pump(self, link: _Link, way: str) -> None:
        ends = (link.near, link.far) if way == "up" else (link.far, link.near)
        reader, writer = ends[0][0], ends[1][1]
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            if self.delay:
                await asyncio.sleep(self._rng.uniform(0, self.delay))
            left = link.left.get(way)
            writer.write(data if left is None else data[:left])
            await writer.drain()
            if left is not None:
                if len(data) >= left:
                    link.cut(reset=self._rng.random() < 0.5)
                    raise ConnectionResetError
                link.left[way] = left - len(data)
        await self._flowing.wait()
        if not writer.is_closing():
            writer.write_eof()
