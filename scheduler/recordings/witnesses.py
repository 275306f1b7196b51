"""The recordings of one shard as witnesses of whether the vendor finds anything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from scheduler.recordings.asking import Asker
from scheduler.recordings.ledger import ConflictError, Ledger, SessionUnreadableError
from scheduler.recordings.session import Reading, Session
from scheduler.recordings.telling import Leadership, Teller

log = structlog.get_logger()

SAMPLE = 12
"""Recordings that are looked at: some of them upload, or are owed a stop."""
CLAIM = 15.0
"""Seconds for which a recording is ours alone while the vendor is called: longer than any call."""


@dataclass(frozen=True, slots=True)
class ShardWitnesses:
    """One shard's; asks under its lease, as its reconciler does."""

    ledger: Ledger
    asker: Asker
    teller: Teller
    lease: Leadership

    async def others(self, *, by: float) -> Sequence[Session]:
        """Recordings that are due by then, the latest first; none where somebody else leads."""
        if await self.lease.hold() is None:
            return ()
        return await self.ledger.soon(by=by, limit=SAMPLE)

    async def question(self, other: Session) -> Reading | None:
        """Ask about it, and fold the answer in. Its own 404 is judged when it is asked again."""
        if not await self.ledger.claim(other.sid, token=self.lease.token, length=CLAIM):
            return None
        told = await self.asker.ask(other, "control")
        try:
            await self.teller.learn(other, replace(told, unsure=told.reading is Reading.NOT_FOUND))
        except (ConflictError, SessionUnreadableError) as error:  # its own check will meet it too
            log.warning("recording.check_deferred", sid=other.sid, why=str(error))
        return told.reading
