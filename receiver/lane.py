"""Group commit: whatever arrived while the last batch was under way goes as one batch.

Worth more than every other trick together: one round trip, or one fsync, for all of them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from agora_sidecar.stream import Append

PENDING, FAILED = 1, 2
"""How one event fares in one lane; 0: it is not there."""


class Ticket:
    """One event on its way to safety: `arrived` in seconds of the event loop's clock."""

    __slots__ = ("arrived", "done", "in_spool", "in_store", "item", "received_ms")

    def __init__(
        self, item: Append, done: "asyncio.Future[str]", *, received_ms: int, arrived: float
    ) -> None:
        self.item = item
        self.done = done
        self.received_ms = received_ms
        self.arrived = arrived
        self.in_store = 0
        self.in_spool = 0


class Lane:
    """Tickets in order of arrival, committed in batches by `commit`, which must not raise."""

    def __init__(
        self, commit: Callable[[list[Ticket]], Awaitable[None]], *, max_batch: int, name: str
    ) -> None:
        self._commit = commit
        self._max_batch = max_batch
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self.waiting: deque[Ticket] = deque()
        self.under_way: list[Ticket] = []

    def put(self, ticket: Ticket) -> None:
        """Commit this one with the next batch."""
        self.waiting.append(ticket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)

    def take_back(self) -> list[Ticket]:
        """What waits, and now no longer does."""
        waiting = list(self.waiting)
        self.waiting.clear()
        return waiting

    def oldest(self) -> Ticket | None:
        """The ticket that has been here longest."""
        if self.under_way:
            return self.under_way[0]
        return self.waiting[0] if self.waiting else None

    async def close(self) -> None:
        """Return when everything that was put here has been committed or refused."""
        while self._task is not None and not self._task.done():
            await self._task

    async def _run(self) -> None:
        while self.waiting:
            size = min(len(self.waiting), self._max_batch)
            self.under_way = [self.waiting.popleft() for _ in range(size)]
            try:
                await self._commit(self.under_way)
            finally:
                self.under_way = []
