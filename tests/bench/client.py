"""One process of the open-loop load: sends each request when it is due, whatever became of others.

Reads its order (JSON) from standard input, says `ready`, reads the moment to begin (seconds of
CLOCK_MONOTONIC) and answers with one JSON list a request: number, milliseconds from the time it was
due to its complete answer, milliseconds by which it was sent late, HTTP status (0: none), outcome.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

import msgspec

from tests.bench.notices import requests

WARM = 32
"""Connections that are open before the start; more follow when all are busy."""
LAST_ANSWER = 15.0
"""Seconds after the last request was due; the receiver promises an answer within 8."""


class Order(msgspec.Struct):
    """What one client sends: numbers from `first` on in steps of `step`, the whole load at `rate`."""

    port: int
    run: str
    first: int
    step: int
    count: int
    rate: float
    connections: int
    patience: float = LAST_ANSWER


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None
        self.number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be used at once."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._client.free(self)

    def send(self, number: int, request: bytes) -> None:
        """Begin a request."""
        assert self._transport is not None
        self.number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is complete."""
        self._buffer += data
        head, gap, body = self._buffer.partition(b"\r\n\r\n")
        if not gap or self.number is None:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            number, self.number = self.number, None
            self._client.answered(number, status=int(head.split(b" ", 2)[1]), body=body)
            if b"connection: close" in head.lower():
                self.close()  # another one is opened for the next request
            else:
                self._client.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was under way has no answer."""
        self._client.lost(self)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()


class Client:
    """Requests that are due, connections that are free."""

    def __init__(self, order: Order) -> None:
        self._order = order
        numbers = range(order.first, order.first + order.count * order.step, order.step)
        self._requests = dict(zip(numbers, requests(order.run, numbers), strict=True))
        self._due: deque[int] = deque()
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._start = 0.0
        self._late: dict[int, float] = {}
        self.rows: dict[int, tuple[int, float, float, int, str]] = {}

    async def warm(self) -> None:
        """Open the first connections."""
        await asyncio.gather(*(self._open() for _ in range(min(WARM, self._order.connections))))

    async def run(self, start: float) -> None:
        """Send everything at its time, and wait for the answers."""
        self._start = start
        for number in self._requests:
            await asyncio.sleep(max(0.0, self._when(number) - time.monotonic()))
            self._due.append(number)
            self._pump()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._order.patience):
                while len(self.rows) < len(self._requests):
                    await asyncio.sleep(0.05)
                    self._pump()
        for connection in tuple(self._all):
            connection.close()
        for number in self._requests:
            if number not in self.rows:
                self.answered(number, status=0, body=b"")

    def free(self, connection: Connection) -> None:
        """It takes the next one."""
        self._all.add(connection)
        self._free.append(connection)
        self._pump()

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if connection.number is not None:
            self.answered(connection.number, status=0, body=b"")

    def answered(self, number: int, *, status: int, body: bytes) -> None:
        """Note what came of a request, now."""
        took = (time.monotonic() - self._when(number)) * 1000
        outcome = "none"
        with suppress(ValueError, LookupError, TypeError):
            outcome = str(json.loads(body)["status"])
        self.rows[number] = (number, took, self._late.get(number, took), status, outcome)

    def _when(self, number: int) -> float:
        return self._start + number / self._order.rate

    def _pump(self) -> None:
        while self._due and self._free:
            number = self._due.popleft()
            self._late[number] = (time.monotonic() - self._when(number)) * 1000
            self._free.pop().send(number, self._requests[number])
        room = self._order.connections - len(self._all) - len(self._opening)
        for _ in range(min(len(self._due) - len(self._opening), room)):
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._order.port)


async def main() -> None:
    """One order."""
    client = Client(msgspec.json.decode(sys.stdin.readline(), type=Order))
    await client.warm()
    gc.freeze()
    gc.disable()  # a pause here would look like one of the receiver
    print("ready", flush=True)  # noqa: T201 - read by the parent
    start: Any = await asyncio.to_thread(sys.stdin.readline)
    await client.run(float(start))
    sys.stdout.write(json.dumps(list(client.rows.values())))


if __name__ == "__main__":
    asyncio.run(main())
