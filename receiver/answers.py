"""Answers as bytes that are made once: there are a dozen of them, and a million requests.

For the usual request (HTTP/1.1, kept alive) aiohttp would put the same header together again each
time, which costs as much as verifying a signature. Every other request gets aiohttp's own response.
"""

import time
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from aiohttp.http import HttpVersion11

NAME = {"Server": "agora-sidecar"}
"""Instead of the names and versions that aiohttp would tell everybody."""
UNREAD = 64 * 1024
"""Bytes of answers that a client may leave unread before its connection is closed."""


class _Ready(web.StreamResponse):
    """An answer that only has to be written. One for all requests: nothing is kept in it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status=status)
        body = _body(text)
        self._head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        self._rest = (
            f"\r\nServer: {NAME['Server']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._second = 0
        self._bytes = b""

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        second = int(time.time())
        if second != self._second:
            date = formatdate(second, usegmt=True).encode()
            self._second, self._bytes = second, self._head + b"Date: " + date + self._rest
        transport.write(self._bytes)
        if transport.get_write_buffer_size() > UNREAD:
            transport.abort()

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything is written already."""


class Answers:
    """Small JSON objects: `{"status": text}`."""

    def __init__(self) -> None:
        self._ready: dict[tuple[int, str], _Ready] = {}

    def __call__(self, request: web.BaseRequest, status: int, text: str) -> web.StreamResponse:
        """The answer to a request that may be followed by others on its connection."""
        if request.version != HttpVersion11 or not request.keep_alive or request.method == "HEAD":
            return plain(status, text)
        ready = self._ready.get((status, text))
        if ready is None:
            ready = self._ready[status, text] = _Ready(status, text)
        return ready


def plain(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """An answer with headers of its own; `Connection: close` among them closes."""
    response = web.Response(
        status=status,
        body=_body(text),
        content_type="application/json",
        headers=NAME | (headers or {}),
    )
    if headers and headers.get("Connection") == "close":
        response.force_close()
    return response


def _body(text: str) -> bytes:
    return b'{"status":"%s"}' % text.encode()
