"""The load: open loop at a fixed rate from processes of their own, or closed loop as fast as it goes.

Open loop measures from the time at which a request was *due*: a receiver that stalls is charged for
all that would have been sent meanwhile (no coordinated omission).
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tests.bench.client import LAST_ANSWER, Order

PATIENCE = 30.0
"""Seconds for the clients to sign, and to report, beyond the load's own time."""
AHEAD = 0.3
"""Seconds between everybody's being ready and the first request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's; milliseconds. `status` 0: there was none."""

    number: int
    took: float
    late: float
    status: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Plan:
    """An open-loop load: `rate` a second in all, up to `connections` at once in all."""

    run: str
    rate: float
    seconds: float
    processes: int = 2
    connections: int = 4000
    patience: float = LAST_ANSWER

    @property
    def count(self) -> int:
        """Requests in all."""
        return int(self.rate * self.seconds)


class OpenLoop:
    """The processes of one load. `start` is the time (monotonic seconds) of the first request."""

    def __init__(self, plan: Plan, *, port: int) -> None:
        self._plan = plan
        self._port = port
        self._clients: list[Process] = []
        self.start = 0.0

    async def prepare(self) -> None:
        """Start them and have everything signed.

        Raises:
            TimeoutError: they were not ready in time.
        """
        plan = self._plan
        for first in range(plan.processes):
            client = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.client"), stdin=PIPE, stdout=PIPE
            )
            self._clients.append(client)
            count = len(range(first, plan.count, plan.processes))
            order = Order(
                port=self._port,
                run=plan.run,
                first=first,
                step=plan.processes,
                count=count,
                rate=plan.rate,
                connections=max(1, plan.connections // plan.processes),
                patience=plan.patience,
            )
            _tell(client, msgspec.json.encode(order))
        async with asyncio.timeout(PATIENCE + plan.count / 5000):
            for client in self._clients:
                assert client.stdout is not None
                if await client.stdout.readline() != b"ready\n":
                    raise RuntimeError("a client of the load ended before it began")
        self.start = time.monotonic() + AHEAD

    async def run(self) -> list[Answer]:
        """Send; every answer.

        Raises:
            TimeoutError: a client did not report.
        """
        for client in self._clients:
            _tell(client, str(self.start).encode())
        async with asyncio.timeout(self._plan.seconds + self._plan.patience + PATIENCE):
            reports = await asyncio.gather(*(client.communicate() for client in self._clients))
        rows = [row for out, _ in reports for row in msgspec.json.decode(out)]
        return [Answer(*row) for row in rows]

    async def end(self) -> None:
        """Nothing is left running."""
        for client in self._clients:
            if client.returncode is None:
                client.kill()
                await client.wait()


def _tell(client: Process, line: bytes) -> None:
    assert client.stdin is not None
    client.stdin.write(line + b"\n")


async def closed_loop(
    port: int, requests: Iterable[bytes], *, connections: int = 64, seconds: float = 120.0
) -> tuple[int, float]:
    """200s, and the seconds they took; ends with the requests or after `seconds`."""
    left, good = iter(requests), 0
    began = time.monotonic()

    async def one_connection() -> None:
        nonlocal good
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            good += head.startswith(b"HTTP/1.1 200")
            if time.monotonic() - began > seconds:
                break
        writer.close()

    async with asyncio.timeout(seconds + 15):
        await asyncio.gather(*(one_connection() for _ in range(connections)))
    return good, time.monotonic() - began
