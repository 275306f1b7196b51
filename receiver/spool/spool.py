"""The journal on a thread of its own: at most one commit at a time, the event loop never waits.

Disk full, gone, read-only or damaged: every call says so with `JournalError`, and the next one
tries again. A damaged file is salvaged once and the call repeated on the new one.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from agora_sidecar.stream import Append
from receiver.metrics import ReceiverMetrics
from receiver.spool.journal import Facts, Journal, JournalError
from receiver.spool.row import Row
from receiver.spool.salvage import open_journal

log = structlog.get_logger()

T = TypeVar("T")

LARGE = 16 << 20
"""Bytes of a file from which an empty one gives its space back."""


class Spool:
    """One file, opened when it is first used and again whenever that failed."""

    def __init__(self, locate: Callable[[], Path], *, limit: int, metrics: ReceiverMetrics) -> None:
        self._locate = locate
        self._limit = limit
        self._metrics = metrics
        self._journal: Journal | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self.filled = asyncio.Event()
        """Set when rows are waiting; cleared by whoever gives them back."""

    async def open(self) -> Facts:
        """Open the file; what it holds is all to be given back, the copies too: nobody knows what
        the store has forgotten meanwhile.

        Raises:
            JournalError: there is no spool; the next call tries again.
        """
        facts = await self._do(lambda journal: journal.facts())
        if facts.waiting:
            self.filled.set()
        return facts

    async def put(self, items: Sequence[tuple[Append, int]]) -> None:
        """Write entries, each with its arrival (Unix ms): on disk when this returns.

        Raises:
            JournalError: none of them is safe here.
        """
        await self._do(lambda journal: _put(journal, items))
        self._metrics.spooled.inc(len(items))
        self.filled.set()

    async def copy(self, items: Sequence[tuple[Append, int]], *, at_ms: int) -> None:
        """Write copies of what the store has just taken.

        Raises:
            JournalError: there are no copies.
        """
        await self._do(lambda journal: _put(journal, items, copies_at=at_ms))

    async def waiting(self, *, after: int, count: int) -> list[Row]:
        """The oldest waiting rows behind row `after`.

        Raises:
            JournalError: the file does not say.
        """
        return await self._do(lambda journal: journal.waiting(after=after, count=count))

    async def taken(self, ids: Sequence[int], *, keep_at: int | None) -> None:
        """The store has these: delete them, or keep them as copies of that monotonic time (ms).

        Raises:
            JournalError: they wait still.
        """
        await self._do(lambda journal: journal.taken(ids, keep_at=keep_at))

    async def set_aside(self, ids: Sequence[int]) -> None:
        """Rows that the disk has altered: out of the way, kept for a person.

        Raises:
            JournalError: they are where they were.
        """
        await self._do(lambda journal: journal.set_aside(ids))

    async def altered(self) -> int:
        """How many rows were set aside.

        Raises:
            JournalError: the file does not say.
        """
        return await self._do(lambda journal: journal.altered())

    async def offer_again(self) -> int:
        """Every copy waits again; how many.

        Raises:
            JournalError: none does.
        """
        again = await self._do(lambda journal: journal.offer_again())
        if again:
            self.filled.set()
        return again

    async def tidy(self, *, copies_before: int) -> Facts:
        """Drop the copies that the store took before this monotonic time (ms); what is left.

        Raises:
            JournalError: it is as it was.
        """
        return await self._do(lambda journal: _tidy(journal, copies_before))

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[Journal], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._on_thread, work)
        except JournalError as error:
            self._metrics.spool_failures.labels(error.kind).inc()
            raise

    def _on_thread(self, work: Callable[[Journal], T]) -> T:
        try:
            return work(self._opened())
        except JournalError as error:
            if error.kind == "full":
                raise
            self._close()  # whatever it is, a fresh look may help
            if error.kind != "damaged":
                raise
            return work(self._opened())

    def _opened(self) -> Journal:
        if self._journal is None:
            journal, salvaged = open_journal(self._locate(), limit=self._limit)
            if salvaged:
                self._metrics.spool_damaged.inc()
            journal.offer_again()
            self._journal = journal
        return self._journal

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _put(
    journal: Journal, items: Sequence[tuple[Append, int]], *, copies_at: int | None = None
) -> None:
    """The oldest copies make room: the store has had them for longest, or has them still."""
    while True:
        try:
            journal.put(items, copies_at=copies_at)
            return
        except JournalError as error:
            if error.kind != "full" or not journal.drop_oldest_copies():
                raise
            log.warning("spool.copies_dropped", why=error.detail)


def _tidy(journal: Journal, copies_before: int) -> Facts:
    journal.drop_copies(before=copies_before)
    facts = journal.facts()
    if not facts.waiting and not facts.copies and journal.path.stat().st_size > LARGE:
        journal.shrink()
    return facts
