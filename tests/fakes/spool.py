"""A spool in memory: fails or hangs when asked."""

import asyncio
from collections.abc import Sequence

from agora_sidecar.stream import Append
from receiver.spool.journal import JournalError


class FakeSpool:
    """Satisfies what the inbox asks of the spool."""

    def __init__(self) -> None:
        self.batches: list[list[Append]] = []
        self.copies: list[Append] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def kept(self) -> list[str]:
        return [item.marks[0] for batch in self.batches for item in batch]

    async def put(self, items: Sequence[tuple[Append, int]]) -> None:
        await self.gate.wait()
        if self.fails:
            raise JournalError("full", "told to fail")
        self.batches.append([item for item, _ in items])

    async def copy(self, items: Sequence[tuple[Append, int]], *, at_ms: int) -> None:
        await self.gate.wait()
        if self.fails:
            raise JournalError("full", "told to fail")
        self.copies += [item for item, _ in items]
