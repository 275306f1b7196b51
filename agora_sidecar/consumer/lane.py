"""One shard for a consumer: what to fetch next, and whether what waits may still be handed out."""

from dataclasses import dataclass

import structlog

from agora_sidecar.consumer.member import Member
from agora_sidecar.entry import Entry
from agora_sidecar.process.clock import Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was fetched and not handed out yet.

    A new entry is held by us since `since`. One that was left behind (`entry` is none) is claimed
    when its turn comes, so that waiting behind a poisonous one counts as no delivery.
    """

    stream_id: str
    entry: Entry | None
    deliveries: int
    since: float


class Lane:
    """Fetches from one shard and hands out; raises StoreError."""

    def __init__(
        self,
        member: Member,
        *,
        clock: Clock,
        batch: int,
        block: float,
        claim_idle: float,
        max_deliveries: int | None,
    ) -> None:
        self.member = member
        self._clock = clock
        self._batch = batch
        self._block = block
        self._idle = claim_idle
        self._max_deliveries = max_deliveries
        self._look_at = 0.0

    async def fetch(self) -> list[Waiting]:
        """What was left behind, looked for twice in `claim_idle`; else what is new."""
        now = self._clock.monotonic()
        if now >= self._look_at:
            left = await self.member.left_behind(count=self._batch, idle=self._idle)
            if len(left) < self._batch:
                self._look_at = now + self._idle / 2
            if left:
                return [Waiting(one.stream_id, None, one.deliveries, now) for one in left]
        entries = await self.member.read(count=self._batch, block=self._block)
        now = self._clock.monotonic()
        return [Waiting(entry.stream_id, entry, 1, now) for entry in entries]

    async def hand_out(self, waiting: Waiting) -> tuple[Entry, int] | None:
        """The entry and how often it was delivered; none where it is not ours to deliver."""
        if waiting.entry is not None:
            fresh = self._clock.monotonic() - waiting.since < self._idle / 2
            mine = fresh or await self.member.renew(waiting.stream_id)
            return (waiting.entry, waiting.deliveries) if mine else None
        if self.spent(waiting.deliveries):
            if await self.member.take_to_bury(waiting.stream_id, idle=self._idle):
                times = waiting.deliveries
                await self.bury(waiting.stream_id, f"delivered {times} times, never acknowledged")
            return None
        entry = await self.member.claim(waiting.stream_id, idle=self._idle)
        return None if entry is None else (entry, waiting.deliveries + 1)

    def spent(self, deliveries: int) -> bool:
        """Whether so many deliveries are all that an entry gets."""
        return self._max_deliveries is not None and deliveries >= self._max_deliveries

    async def bury(self, stream_id: str, reason: str) -> None:
        """Move it to the dead letters."""
        if await self.member.bury(stream_id, reason):
            log.error("consumer.dead_letter", stream_id=stream_id, why=reason)

    async def give_back(self, waiting: Waiting) -> None:
        """Leave what was only read ahead to the others, at once."""
        if waiting.entry is not None:
            await self.member.give_back(waiting.stream_id, idle=self._idle)
