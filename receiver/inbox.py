"""Group commit: whatever arrived while the last batch was under way goes as one batch.

An event waits for at most the batch under way and its own, so each may take half the time there is.
A batch that fails is refused whole (503, the vendor repeats it): what got through nevertheless is
recognised then, so nothing is doubled.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome
from receiver.metrics import ReceiverMetrics

log = structlog.get_logger()

MAX_BATCH = 256
"""Events. Keeps one script below a few milliseconds, during which the store serves nobody else."""
MAX_WAITING = 10_000
"""Events. The number of connections is the tighter bound."""


class Appends(Protocol):
    """What the inbox asks of the store."""

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        """One outcome for each; raises StoreError."""
        ...


class Inbox:
    """Takes events one by one, commits them in batches."""

    def __init__(
        self,
        writer: Appends,
        *,
        metrics: ReceiverMetrics,
        deadline: float,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._writer = writer
        self._metrics = metrics
        self._commit_timeout = deadline / 2
        self._max_batch = max_batch
        self._waiting: deque[tuple[Append, asyncio.Future[Outcome]]] = deque()
        self._committer: asyncio.Task[None] | None = None

    async def put(self, item: Append) -> Outcome:
        """Wait until the event is safe, or until it is known that it is not.

        Raises:
            StoreError: it is not safe.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError("full", f"{MAX_WAITING} events are waiting for the store")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_all(), name="inbox")
        return await future

    async def close(self) -> None:
        """Return when everything that was taken has been answered."""
        if self._committer is not None:
            await self._committer

    async def _commit_all(self) -> None:
        while self._waiting:
            batch = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_batch))
            ]
            self._metrics.waiting.set(len(self._waiting))
            self._metrics.batch.observe(len(batch))
            await self._commit(batch)

    async def _commit(self, batch: list[tuple[Append, asyncio.Future[Outcome]]]) -> None:
        try:
            async with asyncio.timeout(self._commit_timeout):
                outcomes = await self._writer.append_once([item for item, _ in batch])
            if len(outcomes) != len(batch):
                raise StoreError("odd", f"{len(outcomes)} outcomes for {len(batch)} events")
        except Exception as error:  # boundary: whatever went wrong, nobody may wait for ever
            failure = _failure(error)
            self._metrics.append_failures.labels(failure.kind).inc()
            log.error(
                "inbox.append_failed", kind=failure.kind, why=failure.detail, events=len(batch)
            )
            for _, future in batch:
                if not future.done():
                    future.set_exception(failure)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)


def _failure(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, TimeoutError):
        return StoreError("timeout", "the store did not answer in time")
    return StoreError("bug", repr(error))
