"""The recordings of one shard as witnesses of whether the vendor finds anything."""

from collections.abc import Sequence
from dataclasses import replace

from agora_sidecar.process.clock import Clock
from scheduler.recordings.asking import Asker
from scheduler.recordings.ledger import Ledger
from scheduler.recordings.session import Reading, Session
from scheduler.recordings.telling import Leadership, Teller
from scheduler.recordings.timings import Timings

SAMPLE = 12
"""Recordings that are looked at: some of them upload, or are owed a stop."""
CLAIM = 15.0
"""Seconds for which a recording is ours alone while the vendor is called: longer than any call."""


class ShardWitnesses:
    """One shard's; asks under its lease, as its reconciler does."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        asker: Asker,
        teller: Teller,
        lease: Leadership,
        timings: Timings,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._asker = asker
        self._teller = teller
        self._lease = lease
        self._timings = timings
        self._clock = clock

    async def others(self) -> Sequence[Session]:
        """Recordings that were heard of lately, the latest first; none where others lead."""
        if await self._lease.hold() is None:
            return ()
        # whoever is not silent is due within the longest silence
        by = self._clock.now() + self._timings.silence * (1 + self._timings.jitter)
        return await self._ledger.soon(by=by, limit=SAMPLE)

    async def question(self, other: Session) -> Reading | None:
        """Ask about it, and fold the answer in. Its own 404 is judged when it is asked again."""
        if not await self._ledger.claim(other.sid, token=self._lease.token, length=CLAIM):
            return None
        told = await self._asker.ask(other, "control")
        await self._teller.learn(other, replace(told, unsure=told.reading is Reading.NOT_FOUND))
        return told.reading
