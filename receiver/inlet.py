"""The public port's HTTP server: limits that hold before a request reaches the handler.

aiohttp's low-level server, because there is one route. What it does not do by itself and is done
here: requests that are not HTTP get the same small JSON as every other refusal, and one log line
instead of a traceback; headers have a time-out; connections have a limit. (Requests that are
pipelined wait in the socket: aiohttp stops reading while several are parsed and not answered.)
"""

import asyncio
import resource
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from weakref import ref

import structlog
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from receiver.answers import plain
from receiver.metrics import ReceiverMetrics

log = structlog.get_logger()

MAX_LINE = 4 * 1024
"""Bytes of the request line; a webhook's path is short."""
MAX_FIELD = 8 * 1024
"""Bytes of one header; proxies add some, none of them long."""
HEADERS_TIMEOUT = 10.0
"""Seconds for the first request's headers."""
KEEPALIVE = 30.0
"""Seconds without a request, and for the headers of each but the first. The vendor recommends at
least 10, for 100 requests a connection."""
LINGER = 1.0
"""Seconds to read on after a refusal, so that the client sees the answer and not a reset."""
SEND_BUFFER = 32 * 1024
"""Bytes of answers that the kernel keeps for one client; megabytes, for one that never reads."""
OTHER_FILES = 128
"""Open files besides the public port's connections: the store's, the spool's, the ops port's."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Connection(web.RequestHandler):
    __slots__ = ("__weakref__", "_inlet", "_patience", "is_proven")

    def __init__(self, inlet: "Inlet", **options: object) -> None:
        super().__init__(inlet, **options)  # type: ignore[arg-type]  # what the server passes on
        self._inlet = inlet
        self._patience: asyncio.TimerHandle | None = None
        self.is_proven = False

    @property
    def is_fresh(self) -> bool:
        """Open, and no request has come yet."""
        return self.transport is not None and not self._request_count

    @property
    def is_strange(self) -> bool:
        """Open, and nothing authentic has come yet."""
        return self.transport is not None and not self.is_proven

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._inlet.headers_timeout, self._give_up)
        self._inlet.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._inlet.closed()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()

    def _give_up(self) -> None:
        if self.is_fresh:
            self._inlet.metrics.closed.labels("slow_headers").inc()
            self.drop()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - what aiohttp would show to the client
    ) -> web.StreamResponse:
        say = log.error if status >= 500 else log.info
        say("http.bad_request", status=status, remote=request.remote, why=repr(exc)[:200])
        return plain(status, "error" if status >= 500 else "refused", {"Connection": "close"})


class Inlet(web.Server):
    """A server for one handler, with this module's limits, at most `max_body` bytes a body and
    `max_connections` connections.

    When there are more, the oldest of those goes whose client has not `proven` itself; where all
    have, the new one. So whoever holds no secret keeps nobody out.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int,
        max_connections: int,
        metrics: ReceiverMetrics,
        headers_timeout: float = HEADERS_TIMEOUT,
    ) -> None:
        loop = asyncio.get_running_loop()

        def request(  # noqa: PLR0917 - aiohttp's own signature
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: "asyncio.Task[None]",
        ) -> web.BaseRequest:
            if message.chunked:  # the parser takes its last trailer for the next request's header
                message = message._replace(should_close=True)
            return web.BaseRequest(
                message, payload, protocol, writer, task, loop, client_max_size=max_body
            )

        super().__init__(
            handler,
            request_factory=request,
            access_log=None,
            auto_decompress=False,  # the signature is over what was sent, and a bomb stays small
            keepalive_timeout=KEEPALIVE,
            lingering_time=LINGER,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
        )
        self.metrics = metrics
        self.headers_timeout = headers_timeout
        self._most = min(max_connections, _files() - OTHER_FILES)
        self._open = 0
        self._strangers: deque[ref[_Connection]] = deque()

    def __call__(self) -> web.RequestHandler:
        """One connection's protocol."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def opened(self, connection: _Connection) -> None:
        """A connection more: make room where there are too many."""
        self._open += 1
        self.metrics.connections.set(self._open)
        self._strangers.append(ref(connection))
        if self._open > self._most:
            self._drop_one()
        elif len(self._strangers) > 2 * self._most:  # most of them are gone, or proven
            open_still = (r for r in self._strangers if (c := r()) is not None and c.is_strange)
            self._strangers = deque(open_still)

    def closed(self) -> None:
        """A connection less."""
        self._open -= 1
        self.metrics.connections.set(self._open)

    def _drop_one(self) -> None:
        self.metrics.closed.labels("too_many").inc()
        while self._strangers:
            connection = self._strangers.popleft()()
            if connection is not None and connection.is_strange:
                connection.drop()
                return


def proven(request: web.BaseRequest) -> None:
    """Its client holds a secret: its connection is not closed to make room for another."""
    if isinstance(request.protocol, _Connection):
        request.protocol.is_proven = True


def _files() -> int:
    """How many files this process may open, after asking for as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(soft, OTHER_FILES + 16)
