"""How safe an acknowledged event is: the store as it was found, the spool, and what joins them.

Learns from whoever watches the store how durable it is, and tells the inbox; owns this process's
spool and whatever gives it, and the files of processes that are gone, back to the store.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.health import Health
from agora_sidecar.process.serving import background
from agora_sidecar.store import Durability
from agora_sidecar.stream import Append
from receiver.inbox import SPOOL_LEVEL, Inbox
from receiver.metrics import ReceiverMetrics
from receiver.spool.adoption import Adoption
from receiver.spool.copies import Copies, copies_for
from receiver.spool.drain import Drain, Store
from receiver.spool.folder import Slot, claim_own
from receiver.spool.journal import Facts, JournalError
from receiver.spool.spool import Spool

log = structlog.get_logger()

OPEN_WITHIN = 3.0
"""Seconds that a start waits for the spool's disk."""
LOOK_WITHIN = 1.0
"""Seconds that a look from outside waits for the disk."""
CLOSE_WITHIN = 5.0
"""Seconds to give back, at the end, what is waiting; the rest is given back at the next start."""


class Safety:
    """The spool of one process in `folder`, at most `limit` bytes.

    Args:
        store: takes what is given back.
        folder: of the spool's files.
        limit: bytes of this process's file.
        shadow: seconds that copies are kept where the store may fail over.
        window: seconds that the store remembers a notice.
        durability: what was asked, `disk` or `memory`.
        health: is told of `durability` and `spool`.
        clock: of copies' ages and of waiting.
        metrics: of the receiver.
        home: under which names an entry belongs today.
    """

    def __init__(
        self,
        store: Store,
        *,
        folder: Path,
        limit: int,
        shadow: float,
        window: float,
        durability: str,
        health: Health,
        clock: Clock,
        metrics: ReceiverMetrics,
        home: Callable[[Append], Append] = lambda item: item,
    ) -> None:
        self._store = store
        self._limit = limit
        self._shadow = shadow
        self._window = window
        self._asked = durability
        self._health = health
        self._clock = clock
        self._metrics = metrics
        self._folder, self._home = folder, home
        self._slot: Slot | None = None
        self._inbox: Inbox | None = None
        self._copies = Copies(0)
        self._store_is_there: Callable[[], bool] = lambda: False
        self._identity = ""
        self._spool_there: bool | None = None
        self._offering: asyncio.Task[None] | None = None
        self.facts: Facts | None = None
        """What is in the spool, at most about a second old."""
        self.problem = "not opened yet"
        """Why there is no spool; empty: there is."""
        self.reached = "unknown"
        """The way in which events are safe before they are answered."""
        self.spool = Spool(self._own_file, limit=limit, metrics=metrics)
        self._drain = self._drain_of(self.spool)
        self._adoption = self._adopts()
        health.expect("spool", required=False)

    @property
    def path(self) -> Path | None:
        """This process's file."""
        return self._slot.path if self._slot else None

    def serve(self, inbox: Inbox, *, store_is_there: Callable[[], bool]) -> None:
        """Tell this inbox how safe the store is, and give the spool back beside it."""
        self._inbox = inbox
        self._store_is_there = store_is_there
        self._drain = self._drain_of(self.spool, inbox)

    def keep(self) -> float:
        """Seconds that copies are kept; for ever while the store is away: it may have forgotten."""
        return self._copies.keep if self._store_is_there() else math.inf

    async def open(self) -> None:
        """Open the spool; without one the receiver depends on the store alone, and says so."""
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                self._looked(await self.spool.open(), "")
        except TimeoutError:
            self._looked(None, f"the disk did not answer within {OPEN_WITHIN:g} s")
        except JournalError as error:
            self._looked(None, str(error))

    async def look(self) -> None:
        """See now what is in the spool; a disk that hangs is waited for a moment only."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_WITHIN):
                await self._drain.tidy()

    async def run(self) -> None:
        """Give back, and adopt, for ever."""
        async with background(self._drain.run(), self._adoption.run()):
            await asyncio.Event().wait()

    def learnt(self, found: Durability) -> None:
        """The store was looked at: say what is in force, loudly where it is not what was asked."""
        self._copies = copies_for(found, shadow=self._shadow, window=self._window)
        restarted = self._identity and found.identity != self._identity
        self._identity = found.identity
        if restarted:
            log.warning("spool.offers_again", why="the store is another one, or was restarted")
            self._offer_again()
        spooled = self._asked == "disk" and found.level != "redis-fsync"
        self.reached = SPOOL_LEVEL if spooled else found.level
        self._metrics.durability_reduced.set(spooled)
        problem = f"durability is disk, but {found.why}: events go to the spool" if spooled else ""
        self._health.report("durability", problem, required=False)
        # then the store alone is not enough to answer
        self._health.report("spool", self.problem, required=spooled)
        say = {"asked": self._asked, "reached": self.reached, "store": found.level}
        if spooled:
            log.warning("receiver.durability_reduced", **say, why=found.why)
        else:
            log.info("receiver.durability", **say, why=found.why)
        if self._inbox is not None:
            self._inbox.level = found.level
            self._inbox.copies = self._copies.of_all

    async def close(self) -> None:
        """Give back what is waiting, as far as it goes in `CLOSE_WITHIN` seconds, and let go."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._give_back()
        await self.spool.close()
        if self._slot is not None:
            self._slot.release()

    async def _give_back(self) -> None:
        with suppress(Exception):  # what stays is given back at the next start
            while await self._drain.step():
                pass

    def _own_file(self) -> Path:
        if self._slot is None:
            self._slot = claim_own(self._folder)
        return self._slot.path

    def _drain_of(self, spool: Spool, inbox: Inbox | None = None) -> Drain:
        return Drain(
            spool,
            self._store,
            keep=self.keep,
            window=self._window,
            clock=self._clock,
            metrics=self._metrics,
            live=inbox,
            on_look=self._looked if inbox else None,
            home=self._home,
        )

    def _adopts(self) -> Adoption:
        return Adoption(
            self._folder,
            clock=self._clock,
            open_spool=lambda path: Spool(lambda: path, limit=self._limit, metrics=self._metrics),
            drain=self._drain_of,
        )

    def _offer_again(self) -> None:
        task = asyncio.get_running_loop().create_task(self._offer())
        self._offering = task  # a task that nobody holds may be collected

    async def _offer(self) -> None:
        with suppress(JournalError):  # counted; copies are all offered when the file is opened anew
            await self._drain.offer_again()
        await self._adoption.offer_again()

    def _looked(self, facts: Facts | None, problem: str) -> None:
        was_there, self.facts = self._spool_there, facts
        self._spool_there = not problem
        if problem and was_there is not False:
            log.error("spool.unavailable", why=problem, cure="see data_dir: its disk and its owner")
        self.problem = problem
        self._health.report("spool", problem)
        if facts is None:
            return
        self._metrics.spool_waiting.set(facts.waiting)
        self._metrics.spool_copies.set(facts.copies)
        self._metrics.spool_bytes.set(facts.bytes)
        age = self._clock.now() - facts.oldest_ms / 1000 if facts.oldest_ms else 0.0
        self._metrics.spool_oldest.set(max(0.0, age))
