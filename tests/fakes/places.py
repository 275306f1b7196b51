"""Where a scheduler keeps what it knows: in memory, or in a real store. One suite runs over both."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol
from uuid import uuid4

import pytest

from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, connect
from agora_sidecar.stream import Append, GroupReader, Writer
from scheduler.leadership import Lease
from scheduler.recordings.intake import Reader
from scheduler.recordings.ledger import Ledger
from scheduler.recordings.reconcile import Leadership
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from tests.fakes.memory_lease import MemoryLease
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_reader import MemoryReader
from tests.fakes.memory_store import MemoryStore

KEEP = 1000.0


class Releasable(Leadership, Protocol):
    """A lease as its holder sees it."""

    @property
    def fence(self) -> int | None: ...

    async def release(self) -> None: ...


class Place(Protocol):
    """A store: each call makes what one more process has of it."""

    def ledger(self, *, keep: float = KEEP) -> Ledger: ...

    def lease(self, clock: Clock, *, length: float = 10.0) -> Releasable: ...

    def reader(self, consumer: str) -> Reader: ...

    async def append(self, *names: str) -> None:
        """Entries with these ids, once each."""

    async def ids(self) -> list[str]:
        """The ids of all entries."""

    async def leader(self) -> str | None:
        """The lease's value."""

    async def end_lease(self) -> None:
        """As if it had run out."""

    async def empty(self) -> None:
        """It comes back without what it knew."""


class MemoryPlace:
    """In this process."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def ledger(self, *, keep: float = KEEP) -> Ledger:
        return MemoryLedger(self.store, keep=keep)

    def lease(self, clock: Clock, *, length: float = 10.0) -> Releasable:
        return MemoryLease(self.store, LEASE, length=length, clock=clock, holder=uuid4().hex)

    def reader(self, consumer: str) -> Reader:
        return MemoryReader(self.store, group="g")

    async def append(self, *names: str) -> None:
        for name in names:
            self.store.append(["id", name, "data", b"{}"], mark=name)

    async def ids(self) -> list[str]:
        return [entry.id for entry in self.store.entries]

    async def leader(self) -> str | None:
        return self.store.lease(LEASE)

    async def end_lease(self) -> None:
        self.store.take_lease(LEASE, None)

    async def empty(self) -> None:
        self.store.clear()


class RedisPlace:
    """In a server."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._keys = Keys("test")

    def ledger(self, *, keep: float = KEEP) -> Ledger:
        return RedisLedger(self._client, self._keys, keep=keep)

    def lease(self, clock: Clock, *, length: float = 10.0) -> Releasable:
        return Lease(self._client, self._keys, LEASE, length=length, clock=clock)

    def reader(self, consumer: str) -> Reader:
        return GroupReader(self._client, self._keys, group="g", consumer=consumer)

    async def append(self, *names: str) -> None:
        seen = self._keys.seen
        batch = [
            Append(self._keys.events, (seen("s", name),), ["id", name], b"{}") for name in names
        ]
        await Writer(self._client, dedupe_window=60).append_once(batch)

    async def ids(self) -> list[str]:
        return [f[b"id"].decode() for _, f in await self._client.xrange(self._keys.events)]

    async def leader(self) -> str | None:
        found = await self._client.get(self._keys.lease(LEASE))
        return found.decode() if isinstance(found, bytes) else None

    async def end_lease(self) -> None:
        await self._client.delete(self._keys.lease(LEASE))

    async def empty(self) -> None:
        await self._client.flushall()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A store, empty: imported by the suites that run over each."""
    if request.param == "memory":
        yield MemoryPlace()
        return
    client = connect(request.getfixturevalue("redis_url"))
    await client.flushall()
    yield RedisPlace(client)
    await asyncio.shield(client.aclose())
