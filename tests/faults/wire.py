"""One attempt over HTTP, written by hand: exact bytes, kept connections, and answers that are cut."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_WORD = re.compile(rb'"status": ?"(\w+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP status and the body's `status`, `cut` where only the first line came whole.

    Status 0: there was no answer, `word` says why.
    """

    status: int
    word: str

    def __str__(self) -> str:
        return f"{self.status} {self.word}" if self.status else self.word


class Wire:
    """A connection to a port of 127.0.0.1 that is made when needed and kept while it is good."""

    def __init__(self, port: int, *, timeout: float) -> None:
        self._port = port
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """The answer to one request."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        )
        return await self.ask(head.encode() + body)

    async def ask(self, request: bytes) -> Answer:
        """The answer to these bytes; after anything but a whole answer the connection is closed."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._exchange(request)
        except TimeoutError:
            answer = Answer(0, "timeout")
        except OSError:
            answer = Answer(0, "no connection")
        if not answer.status or answer.word == "cut":
            self.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        # a peer that answers and closes before everything was written is asked for its answer
        with suppress(ConnectionError):
            await writer.drain()
        status = 0
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status = _status(head)
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError as error:
            status = status or _status(error.partial)
            return Answer(status, "cut" if status else "closed")
        if b"connection: close" in head.lower():
            self.close()
        word = _WORD.search(body)
        return Answer(status, word[1].decode() if word else "")


def _status(head: bytes) -> int:
    found = _STATUS.match(head)
    return int(found[1]) if found else 0
