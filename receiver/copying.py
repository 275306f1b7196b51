"""Copies of what the store has just taken, for a store that may forget it.

Written behind the answers: nobody waits for one; what cannot be copied is said and harms nobody.
"""

import asyncio
from collections.abc import Sequence

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.stream import Append
from receiver.neighbours import Copies
from receiver.spool.journal import JournalError

log = structlog.get_logger()

MOST = 64
"""Batches whose copies wait for the disk; one that hangs must not fill the memory."""


class Copying:
    """Writes copies, in the background."""

    def __init__(self, spool: Copies, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, items: Sequence[tuple[Append, int]]) -> None:
        """Copy these, each with its arrival in Unix milliseconds."""
        if len(self._under_way) >= MOST:
            log.warning(
                "inbox.not_copied", kind="slow", why="the disk is behind", events=len(items)
            )
            return
        task = asyncio.create_task(self._copy(items))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Return when those that were begun are written or given up."""
        await asyncio.gather(*self._under_way)

    async def _copy(self, items: Sequence[tuple[Append, int]]) -> None:
        try:
            await self._spool.copy(items, at_ms=int(self._clock.monotonic() * 1000))
        except JournalError as error:
            log.warning("inbox.not_copied", kind=error.kind, why=error.detail, events=len(items))
