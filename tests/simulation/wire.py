"""The way of one process to everything outside it: where it is killed, paused and kept waiting.

Between two calls nobody else sees what a process does. So killing it before or after any of its
calls is killing it anywhere, and pausing it there is SIGSTOP.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from agora_sidecar.entry import Entry
from agora_sidecar.process.clock import Clock
from scheduler.recordings.intake import Reader
from scheduler.recordings.ledger import Change, Ledger
from scheduler.recordings.session import Session, State
from tests.fakes.memory_lease import MemoryLease

_T = TypeVar("_T")

HURRY = 0.9
"""Part of the calls that take no time but let others go first; the others take up to `SLOW`."""
SLOW = 0.05


class Wire:
    """One process's; `strike` arms what happens to it at one of its next calls."""

    def __init__(self, rng: Random) -> None:
        self.dead = False
        self._rng = rng
        self._resume_at = 0.0
        self._armed: list[_Strike] = []

    def strike(self, where: str, nth: int, what: Callable[[], None]) -> None:
        """Do it at the `nth` time that it passes `where`: a call such as `save`, or any (`""`)."""
        self._armed.append(_Strike(where, nth, what))

    def pause(self, seconds: float) -> None:
        """Nothing of it moves for so long."""
        self._resume_at = asyncio.get_running_loop().time() + seconds

    @property
    def paused(self) -> bool:
        """Whether it stands still now."""
        return asyncio.get_running_loop().time() < self._resume_at

    async def gate(self, where: str) -> None:
        """Pass on from inside to outside, or back."""
        if self._armed:
            self._fire(where)
        hurry = self._rng.random() < HURRY
        await asyncio.sleep(0 if hurry else self._rng.random() * SLOW)
        while self.paused and not self.dead:  # noqa: ASYNC110 - it may be paused again meanwhile
            await asyncio.sleep(self._resume_at - asyncio.get_running_loop().time())
        if self.dead:
            raise asyncio.CancelledError

    async def call(self, where: str, work: Coroutine[Any, Any, _T]) -> _T:
        """What it answers, if both ways are passed; done all the same, if only the first is."""
        try:
            await self.gate(where)
        except BaseException:
            work.close()
            raise
        found = await work
        await self.gate(where)
        return found

    def _fire(self, where: str) -> None:
        for strike in list(self._armed):
            if strike.where in {"", where}:
                strike.left -= 1
                if not strike.left:
                    self._armed.remove(strike)
                    strike.what()


@dataclass(slots=True)
class _Strike:
    where: str
    left: int
    what: Callable[[], None]


class WiredClock:
    """A clock by which a process that stands still does not wake up."""

    def __init__(self, clock: Clock, wire: Wire) -> None:
        self._clock = clock
        self._wire = wire

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._wire.gate("sleep")


class WiredLedger:
    """A ledger at the other end of a wire."""

    def __init__(self, ledger: Ledger, wire: Wire) -> None:
        self._ledger = ledger
        self._call = wire.call

    async def load(self, sid: str) -> Session | None:
        return await self._call("load", self._ledger.load(sid))

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        return await self._call("save", self._ledger.save(change, due=due, now=now, token=token))

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        return await self._call("claim", self._ledger.claim(sid, token=token, length=length))

    async def behind(self, *, now: float) -> int:
        return await self._call("behind", self._ledger.behind(now=now))

    async def absent(self, sids: Sequence[str]) -> list[str]:
        return await self._call("absent", self._ledger.absent(sids))

    async def due(self, *, now: float, limit: int) -> list[str]:
        return await self._call("due", self._ledger.due(now=now, limit=limit))

    async def next_due(self) -> float | None:
        return await self._call("next_due", self._ledger.next_due())

    async def soon(self, *, by: float, limit: int) -> list[Session]:
        return await self._call("soon", self._ledger.soon(by=by, limit=limit))

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        await self._call("postpone", self._ledger.postpone(sid, until, version=version))

    async def all(self, *, limit: int) -> list[Session]:
        return await self._call("all", self._ledger.all(limit=limit))

    async def forget(self, sid: str) -> bool:
        return await self._call("forget", self._ledger.forget(sid))

    async def restore(self, *, now: float) -> int:
        return await self._call("restore", self._ledger.restore(now=now))

    async def adopt(self, *, now: float) -> None:
        await self._call("adopt", self._ledger.adopt(now=now))

    def open_by_state(self) -> dict[State, int]:
        return self._ledger.open_by_state()


class WiredReader:
    """A reader at the other end of a wire."""

    def __init__(self, reader: Reader, wire: Wire) -> None:
        self._reader = reader
        self._call = wire.call

    async def read(self, *, count: int, block: float) -> list[Entry]:
        return await self._call("read", self._reader.read(count=count, block=block))

    async def reclaim(self, *, count: int, idle: float) -> list[Entry]:
        return await self._call("reclaim", self._reader.reclaim(count=count, idle=idle))

    async def acknowledge(self, stream_ids: Sequence[str]) -> None:
        await self._call("acknowledge", self._reader.acknowledge(stream_ids))


class WiredLease:
    """A lease at the other end of a wire."""

    def __init__(self, lease: MemoryLease, wire: Wire) -> None:
        self._lease = lease
        self._call = wire.call
        self.length = lease.length

    @property
    def emptied(self) -> bool:
        return self._lease.emptied

    @property
    def token(self) -> str:
        return self._lease.token

    async def hold(self) -> int | None:
        return await self._call("hold", self._lease.hold())

    def note_refilled(self) -> None:
        self._lease.note_refilled()

    async def release(self) -> None:
        await self._call("release", self._lease.release())
