"""A member of a consumer group over a store in memory: `GroupReader` without a server."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from agora_sidecar.entry import Entry
from tests.fakes.memory_store import Group, MemoryStore


class MemoryReader:
    """Gives each entry to one member of the group, until it is acknowledged."""

    def __init__(self, store: MemoryStore, *, group: str) -> None:
        self._store = store
        self._group = group

    async def read(self, *, count: int, block: float) -> list[Entry]:
        self._store.demand()
        if not self._unread():
            with suppress(TimeoutError):
                async with asyncio.timeout(block):
                    await self._store.arrival()
            self._store.demand()
        group = self._known()
        first, last = group.read, min(len(self._store.entries), group.read + count)
        group.read = last
        group.pending.update(dict.fromkeys(range(first, last), self._store.now()))
        return self._store.entries[first:last]

    async def reclaim(self, *, count: int, idle: float) -> list[Entry]:
        self._store.demand()
        group, now = self._known(), self._store.now()
        found = [place for place, at in sorted(group.pending.items()) if now - at >= idle][:count]
        group.pending.update(dict.fromkeys(found, now))
        return [self._store.entries[place] for place in found]

    async def acknowledge(self, stream_ids: Sequence[str]) -> None:
        if not stream_ids:
            return
        self._store.demand()
        done, group = set(stream_ids), self._known()
        for place in list(group.pending):
            if self._store.entries[place].stream_id in done:
                del group.pending[place]

    def _unread(self) -> bool:
        return self._known().read < len(self._store.entries)

    def _known(self) -> Group:
        return self._store.groups.setdefault(self._group, Group())
