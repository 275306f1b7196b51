"""Gives back what is waiting in the spool: in order, in batches, live traffic first.

A row leaves the waiting ones only after the store has it. A batch that fails is offered again,
which is harmless: what got through is known. The store refuses one row only (nobody knows why): the
others pass it, and it is tried again in the next round. A copy older than the window in which
notices are remembered is looked for in the stream before it is appended.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome
from receiver.metrics import ReceiverMetrics
from receiver.spool.journal import Facts, JournalError
from receiver.spool.row import Row
from receiver.spool.spool import Spool

log = structlog.get_logger()

BATCH = 128
"""Rows. Half of what live traffic may send at once."""
RETRY = 0.5
"""Seconds between attempts while the store, or the disk, refuses."""
TIDY = 1.0
"""Seconds between looks at the file: its age, its size, its copies."""
REFUSES_ROW = frozenset({"err", "refused", "bug", "wrongtype", "toobig"})
"""Errors that may be about one row; all others are about the store."""


class Store(Protocol):
    """What giving back asks of the store; all raise StoreError."""

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        """One outcome for each."""
        ...

    async def find(self, stream: str, *, since_ms: int) -> set[tuple[str, str]]:
        """Source and id of every entry from that time on."""
        ...


class Live(Protocol):
    """The events that arrive meanwhile."""

    @property
    def is_busy(self) -> bool:
        """Whether some wait for the store."""
        ...

    def resume(self) -> None:
        """The store takes events again."""
        ...


class Drain:
    """Gives one spool's rows back. `keep()` is how long copies are kept, in seconds, 0 for not,
    infinite while the store is away.

    `live` is told when the store took something: it works again. `on_look` is told, about every
    second, what the file holds, or why it does not say. `home` says under which names an entry
    belongs today: the file may be older than the settings.
    """

    def __init__(
        self,
        spool: Spool,
        store: Store,
        *,
        keep: Callable[[], float],
        window: float,
        clock: Clock,
        metrics: ReceiverMetrics,
        live: Live | None = None,
        on_look: Callable[[Facts | None, str], None] | None = None,
        home: Callable[[Append], Append] = lambda item: item,
    ) -> None:
        self._spool = spool
        self._store = store
        self._keep = keep
        self._window_ms = int(window * 1000)
        self._clock = clock
        self._metrics = metrics
        self._live = live
        self._on_look = on_look
        self._home = home
        self._after = 0
        self._count = BATCH
        self._owed: list[int] = []
        self._moved = False
        self._problem = ""
        self._tidy_at = clock.monotonic()
        self.facts: Facts | None = None
        """What is in the file, at most about a second old; none: it does not say."""

    async def run(self) -> None:
        """Give back for ever."""
        while True:
            if self._clock.monotonic() >= self._tidy_at:
                await self.tidy()
            moved = await self._safely()
            if moved is None:
                await self._clock.sleep(RETRY)
            elif not moved:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._spool.filled.wait(), TIDY)

    async def until_empty(self) -> None:
        """Give back until neither rows nor copies are left."""
        while True:
            if not await self._safely():
                await self.tidy()
                if self.facts and not (self.facts.waiting or self.facts.copies):
                    return
                await self._clock.sleep(RETRY)

    async def offer_again(self) -> None:
        """Every copy waits again, and so does what is owed: the store may have forgotten it.

        Raises:
            JournalError: none does; copies are all offered when the file is opened anew.
        """
        self._owed, self._after = [], 0
        await self._spool.offer_again()

    async def step(self) -> int:
        """Give back one batch; how many rows.

        Raises:
            StoreError: the store does not take it.
            JournalError: the file does not give it.
        """
        self._spool.filled.clear()
        await self._settle_owed()
        rows = await self._spool.waiting(after=self._after, count=self._count)
        if not rows:
            if not self._owed:  # else they would be read again
                self._after, self._count = 0, BATCH
            return 0
        await self._put_aside(rows)
        good = [self._brought_home(row) for row in rows if row.item is not None]
        try:
            await self._offer(good)
        except StoreError as error:
            if error.kind not in REFUSES_ROW:
                raise
            return self._pass_by(rows, error)
        self._owed += [row.id for row in good]
        self._after = rows[-1].id
        if self._live is not None:
            self._live.resume()
        await self._settle_owed()
        return len(rows)

    async def tidy(self) -> None:
        """Drop copies that are old enough, and tell what is left."""
        self._tidy_at = self._clock.monotonic() + TIDY
        problem = ""
        try:
            keep = self._keep()
            before = 0 if keep == math.inf else int((self._clock.monotonic() - keep) * 1000)
            self.facts = await self._spool.tidy(copies_before=before)
        except JournalError as error:
            self.facts, problem = None, str(error)
        if self._on_look is not None:
            self._on_look(self.facts, problem)

    async def _safely(self) -> int | None:
        started = self._clock.monotonic()
        try:
            moved = await self.step()
        except (StoreError, JournalError) as error:
            self._note(str(error))
            return None
        except Exception as error:  # boundary: the next batch may be well
            log.exception("spool.drain_failed", why=repr(error))
            return None
        self._note("")
        if (
            moved and self._live is not None and self._live.is_busy
        ):  # at most half of the store's time
            await self._clock.sleep(self._clock.monotonic() - started)
        return moved

    async def _offer(self, rows: Sequence[Row]) -> None:
        unknown = await self._not_there(rows)
        self._metrics.drained.labels("duplicate").inc(len(rows) - len(unknown))
        if not unknown:
            return
        outcomes = await self._store.append_once([_from_spool(row.item) for row in unknown])
        stored = sum(outcome is Outcome.STORED for outcome in outcomes)
        self._metrics.drained.labels("stored").inc(stored)
        self._metrics.drained.labels("duplicate").inc(len(outcomes) - stored)

    async def _not_there(self, rows: Sequence[Row]) -> list[Row]:
        """All but those that outlived their mark and are on the stream."""
        now = int(self._clock.now() * 1000)
        # a tenth early: marks must not end between this look and the append. What arrived in the
        # future arrived before the clock was set back, nobody knows how long ago
        young = range(now - self._window_ms * 9 // 10, now + 1)
        old = [row for row in rows if row.received_ms not in young and row.item is not None]
        there: dict[str, set[tuple[str, str]]] = {}
        for stream in {row.item.stream for row in old if row.item}:
            since = min(row.received_ms for row in old if row.item and row.item.stream == stream)
            there[stream] = await self._store.find(stream, since_ms=min(since, now))
        return [row for row in rows if row not in old or not _is_in(row, there)]

    def _brought_home(self, row: Row) -> Row:
        item = row.item and self._home(row.item)
        if item is row.item or item is None:
            return row
        if not self._moved:
            log.warning("spool.moves", came_from=row.item and row.item.stream, goes_to=item.stream)
        self._moved = True
        return Row(row.id, row.received_ms, item)

    async def _put_aside(self, rows: Sequence[Row]) -> None:
        altered = [row.id for row in rows if row.item is None]
        if altered:
            await self._spool.set_aside(altered)
            self._metrics.spool_damaged.inc(len(altered))
            log.error("spool.rows_altered", rows=len(altered), ids=altered[:10])

    def _pass_by(self, rows: Sequence[Row], error: StoreError) -> int:
        if self._count > 1:
            self._count = 1  # one by one, to find which
            return len(rows)
        self._after = rows[-1].id
        log.error("spool.row_refused", row=rows[-1].id, kind=error.kind, why=error.detail)
        return len(rows)

    async def _settle_owed(self) -> None:
        """Say in the file what the store has; owed until the file takes it (its disk is full)."""
        if not self._owed:
            return
        keep_at = int(self._clock.monotonic() * 1000) if self._keep() > 0 else None
        try:
            await self._spool.taken(self._owed, keep_at=keep_at)
        except JournalError as error:
            self._note(str(error))
            return
        self._owed = []

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("spool.waits", why=problem)
        if self._problem and not problem:
            log.info("spool.drains")
        self._problem = problem


def _from_spool(item: Append | None) -> Append:
    assert item is not None  # noqa: S101 - rows without one were put aside
    fields = list(item.fields)
    if "origin" in fields[::2]:
        fields[2 * fields[::2].index("origin") + 1] = "spool"
    return Append(item.stream, item.marks, fields, item.data)


def _is_in(row: Row, there: dict[str, set[tuple[str, str]]]) -> bool:
    if row.item is None:
        return False
    named = dict(zip(row.item.fields[::2], row.item.fields[1::2], strict=True))
    if not named.get("id"):  # of the quarantine: rather twice than not at all
        return False
    return (named.get("source", ""), named["id"]) in there.get(row.item.stream, set())
