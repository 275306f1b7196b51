"""A stream without a server: remembers what it was told, fails or hangs when asked."""

import asyncio
from collections.abc import Sequence

from agora_sidecar.entry import Fields
from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome


class FakeWriter:
    """Satisfies what the inbox and the webhook ask of the store."""

    def __init__(self) -> None:
        self.batches: list[list[Append]] = []
        self.quarantined: list[Fields] = []
        self.known: set[str] = set()
        self.fail_with: Exception | None = None
        self.forget_last_outcome = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        self.batches.append(list(batch))
        await self.gate.wait()
        if self.fail_with is not None:
            raise self.fail_with
        outcomes = []
        for item in batch:
            known = self.known.intersection(item.marks)
            outcomes.append(Outcome.DUPLICATE_NOTICE if known else Outcome.STORED)
            self.known.update(item.marks)
        return outcomes[:-1] if self.forget_last_outcome else outcomes

    async def quarantine(self, fields: Fields) -> None:
        if self.fail_with is not None:
            raise StoreError("unreachable", "told to fail")
        self.quarantined.append(fields)
