"""The public port's HTTP server: limits that hold before a request reaches the handler.

aiohttp's low-level server, because there is one route. What it does not do by itself and is done
here: requests that are not HTTP get the same small JSON as every other refusal, and one log line
instead of a traceback.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

log = structlog.get_logger()

MAX_LINE = 4 * 1024
"""Bytes of the request line; a webhook's path is short."""
MAX_FIELD = 8 * 1024
"""Bytes of one header; proxies add some, none of them long."""
KEEPALIVE = 30.0
"""Seconds without a request. The vendor recommends at least 10, for 100 requests a connection."""
LINGER = 1.0
"""Seconds to read on after a refusal, so that the client sees the answer and not a reset."""

NAME = {"Server": "agora-sidecar"}
"""Instead of the names and versions that aiohttp would tell everybody."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - what aiohttp would show to the client
    ) -> web.StreamResponse:
        answer = b'{"status":"error"}' if status >= 500 else b'{"status":"refused"}'
        say = log.error if status >= 500 else log.info
        say("http.bad_request", status=status, remote=request.remote, why=repr(exc)[:200])
        response = web.Response(
            status=status, body=answer, content_type="application/json", headers=NAME
        )
        response.force_close()
        return response


class Inlet(web.Server):
    """A server for one handler, with this module's limits and at most `max_body` bytes a body."""

    def __init__(self, handler: Handler, *, max_body: int) -> None:
        loop = asyncio.get_running_loop()

        def request(  # noqa: PLR0917 - aiohttp's own signature
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: "asyncio.Task[None]",
        ) -> web.BaseRequest:
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

    def __call__(self) -> web.RequestHandler:
        """One connection's protocol."""
        return _Connection(self, loop=self._loop, **self._kwargs)
