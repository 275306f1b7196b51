"""A stream without a server: remembers what it was told, fails or hangs when asked."""

import asyncio
from collections.abc import Sequence

from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome


class FakeWriter:
    """Satisfies what the inbox and the spool's drain ask of the store."""

    def __init__(self) -> None:
        self.batches: list[list[Append]] = []
        self.known: set[str] = set()
        self.streams: dict[str, set[tuple[str, str]]] = {}
        self.fail_with: Exception | None = None
        self.refuses: str | None = None
        """The mark of a row that is always refused."""
        self.forget_last_outcome = False
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def stored(self) -> list[bytes]:
        return [item.data for batch in self.batches for item in batch]

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        self.batches.append(list(batch))
        await self.gate.wait()
        if self.fail_with is not None:
            raise self.fail_with
        if any(self.refuses in item.marks for item in batch):
            raise StoreError("err", "this row is odd")
        outcomes = []
        for item in batch:
            known = self.known.intersection(item.marks)
            outcomes.append(Outcome.DUPLICATE_NOTICE if known else Outcome.STORED)
            self.known.update(item.marks)
        return outcomes[:-1] if self.forget_last_outcome else outcomes

    async def find(self, stream: str, *, since_ms: int) -> set[tuple[str, str]]:
        return self.streams.get(stream, set())
