"""The ledgers of all shards as one: what belongs to a recording goes to its shard, lists merge.

For whoever does not know shards: the API, the commands. Intake and reconciler have one shard each.
"""

import asyncio
from collections.abc import Sequence
from heapq import merge

from agora_sidecar.keys import Shards
from agora_sidecar.store import Redis
from scheduler.recordings.ledger import Change
from scheduler.recordings.redis_ledger import RedisLedger
from scheduler.recordings.session import Session, State


class ShardedLedger:
    """The ledger of every shard; `parts` are theirs, in order. `keep` as in `RedisLedger`."""

    def __init__(self, client: Redis, shards: Shards, *, keep: float) -> None:
        self._shards = shards
        self.parts = tuple(RedisLedger(client, keys, keep=keep) for keys in shards.all)
        self._by_events = {
            keys.events: ledger for keys, ledger in zip(shards.all, self.parts, strict=True)
        }

    def of(self, sid: str) -> RedisLedger:
        """The ledger of the shard to which this recording belongs."""
        return self._by_events[self._shards.of(sid).events]

    async def load(self, sid: str) -> Session | None:
        """The session as last saved."""
        return await self.of(sid).load(sid)

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        """Save in its shard; `token` is that of the shard's lease."""
        ledger = self.of(change.session.sid)
        return await ledger.save(change, due=due, now=now, token=token)

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        """Whether nobody else calls for it now; `token` is that of the shard's lease."""
        return await self.of(sid).claim(sid, token=token, length=length)

    async def due(self, *, now: float, limit: int) -> list[str]:
        """The sids due by now, the oldest first."""
        found = await asyncio.gather(*(part.due_at(now=now, limit=limit) for part in self.parts))
        return [sid for _, sid in merge(*found)][:limit]

    async def next_due(self) -> float | None:
        """When the next one is due."""
        found = await asyncio.gather(*(part.next_due() for part in self.parts))
        return min((at for at in found if at is not None), default=None)

    async def behind(self, *, now: float) -> int:
        """How many are due by now."""
        return sum(await asyncio.gather(*(part.behind(now=now) for part in self.parts)))

    async def soon(self, *, by: float, limit: int) -> list[Session]:
        """Sessions that are due by then, the latest first of each shard."""
        parts = [await part.soon(by=by, limit=limit) for part in self.parts]
        return [session for sessions in parts for session in sessions][:limit]

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        """Look at it again then, or not at all, unless somebody saved meanwhile."""
        await self.of(sid).postpone(sid, until, version=version)

    async def all(self, *, limit: int) -> list[Session]:
        """Sessions of all shards; at most `limit`."""
        found: list[Session] = []
        for part in self.parts:
            found += await part.all(limit=limit - len(found))
            if len(found) >= limit:
                break
        return found

    async def forget(self, sid: str) -> bool:
        """Drop what is known of it."""
        return await self.of(sid).forget(sid)

    async def absent(self, sids: Sequence[str]) -> list[str]:
        """Those of which the store holds nothing, not even that they were forgotten."""
        by_part: dict[RedisLedger, list[str]] = {}
        for sid in sids:
            by_part.setdefault(self.of(sid), []).append(sid)
        found = [await part.absent(some) for part, some in by_part.items()]
        return [sid for some in found for sid in some]

    async def restore(self, *, now: float) -> int:
        """Write back what this process knows to be open and the store has lost; due at once."""
        return sum([await part.restore(now=now) for part in self.parts])

    async def adopt(self, *, now: float) -> None:
        """Remember the open sessions, and put those on the schedule that are not: due at once."""
        for part in self.parts:
            await part.adopt(now=now)

    def open_by_state(self) -> dict[State, int]:
        """How many open sessions this process knows of, by state."""
        counts = dict.fromkeys(State, 0)
        for part in self.parts:
            for state, number in part.open_by_state().items():
                counts[state] += number
        return counts

    def open_sessions(self, *, limit: int) -> list[Session]:
        """Open sessions that this process knows of, from each shard in turn."""
        share = -(-limit // len(self.parts))
        return [session for part in self.parts for session in part.remembered.newest(share)]
