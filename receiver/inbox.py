"""Where an event becomes safe: in the store, in the spool, or in both; only then is it answered.

- The store fsyncs before it replies (or `durability` is `memory`): it is asked first. When it
  fails, or has not answered `hedge_after` seconds after the event's arrival, the event goes to the
  spool as well, and from then on events go straight there, until what gives the spool back finds
  that the store takes events again.
- It does not fsync: the spool first, always; giving back follows at once.
- The spool's disk hangs for as long: the store is asked as well, where that is enough.
- Neither takes it by `ack_deadline`: `StoreError`, and the vendor repeats it.

Whichever way an event goes, or both, the once-only key makes it one entry.
"""

import asyncio

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome
from receiver.copying import Copying
from receiver.lane import FAILED, PENDING, Lane, Ticket
from receiver.metrics import ReceiverMetrics
from receiver.neighbours import Appends, Keeps, Watched
from receiver.spool.journal import JournalError

log = structlog.get_logger()

MAX_BATCH = 256
"""Events. Keeps one script below a few milliseconds, during which the store serves nobody else."""
MAX_WAITING = 10_000
"""Events. The number of connections is the tighter bound."""
SPOOLED = "spooled"
ANSWERS = {
    Outcome.STORED: "stored",
    Outcome.DUPLICATE_NOTICE: "duplicate",
    Outcome.DUPLICATE_PAYLOAD: "duplicate_payload",
}
SPOOL_LEVEL = "spool-fsync"


class Inbox:
    """Takes events one by one. `deadline` and `hedge_after` in seconds from an event's arrival.

    `level` is how safe the store is (`redis-fsync`, `redis-memory`, `unknown`); `needs_disk` that
    an answer needs an fsync; `copies` that the store may forget what it took. `level` and `copies`
    are set by whoever watches the store, `watched`: what a store took that may be another one by
    now is acknowledged after a new look, or from the spool.
    """

    def __init__(
        self,
        store: Appends,
        spool: Keeps,
        *,
        metrics: ReceiverMetrics,
        clock: Clock,
        deadline: float,
        hedge_after: float,
        needs_disk: bool = True,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._store = store
        self._spool = spool
        self._metrics = metrics
        self._deadline = deadline
        self._hedge_after = hedge_after
        self._needs_disk = needs_disk
        self.level = "unknown"
        self.copies = False
        self.watched: Watched | None = None
        self._suspended = False
        self._store_lane = Lane(self._to_store, max_batch=max_batch, name="inbox-store")
        self._spool_lane = Lane(self._to_spool, max_batch=max_batch, name="inbox-spool")
        self._copying = Copying(spool, clock)
        self._look: asyncio.TimerHandle | None = None
        self._patience: asyncio.Timeout | None = None

    async def put(self, item: Append, received_ms: int) -> str:
        """Wait until the event is safe: `stored`, `duplicate`, `duplicate_payload` or `spooled`.

        Raises:
            StoreError: it is not safe anywhere.
        """
        loop = asyncio.get_running_loop()
        ticket = Ticket(item, loop.create_future(), received_ms=received_ms, arrived=loop.time())
        if len(self._store_lane.waiting) + len(self._spool_lane.waiting) >= MAX_WAITING:
            raise StoreError("full", f"{MAX_WAITING} events are waiting")
        if self._suspended or not self.store_suffices:
            self._enter_spool(ticket)
        else:
            self._enter_store(ticket)
        if self._look is None:
            self._look = loop.call_later(self._pace, self._look_after)
        return await ticket.done

    @property
    def store_suffices(self) -> bool:
        """Whether what the store took may be acknowledged."""
        return not self._needs_disk or self.level == "redis-fsync"

    @property
    def is_busy(self) -> bool:
        """Whether live events wait for the store."""
        return bool(self._store_lane.waiting)

    @property
    def suspended(self) -> bool:
        """Whether events go to the spool because the store failed."""
        return self._suspended

    def resume(self) -> None:
        """The store takes events again."""
        if self._suspended:
            self._go_on()
            if self._patience is not None and self._store_lane.under_way:
                # the batch that hung: the store answers others, so nothing may queue behind it
                self._patience.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Return when everything that was taken has been answered."""
        await self._store_lane.close()
        await self._spool_lane.close()
        await self._copying.close()
        if self._look is not None:
            self._look.cancel()

    def _go_on(self) -> None:
        self._suspended = False
        log.info("inbox.resumed")

    def _enter_store(self, ticket: Ticket) -> None:
        ticket.in_store = PENDING
        self._store_lane.put(ticket)

    def _enter_spool(self, ticket: Ticket) -> None:
        ticket.in_spool = PENDING
        self._spool_lane.put(ticket)

    async def _to_store(self, batch: list[Ticket]) -> None:
        self._metrics.waiting.set(len(self._store_lane.waiting))
        self._metrics.batch.observe(len(batch))
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._deadline) as self._patience:
                outcomes = await self._store.append_once([ticket.item for ticket in batch])
                if self.watched is not None and self.watched.doubtful and self._needs_disk:
                    await self.watched.ascertain()
            if len(outcomes) != len(batch):
                raise StoreError("odd", f"{len(outcomes)} outcomes for {len(batch)} events")
        except Exception as error:  # boundary: whatever went wrong, nobody may wait for ever
            failure = _failure(error)
            self._metrics.append_failures.labels(failure.kind).inc()
            log.error(
                "inbox.append_failed", kind=failure.kind, why=failure.detail, events=len(batch)
            )
            self._store_failed(batch, failure)
            return
        if self._suspended and asyncio.get_running_loop().time() - began < self._hedge_after:
            self._go_on()
        if not self._is_certain:
            self._distrust(batch)
            return
        self._metrics.safe_by(self.level).inc(len(batch))
        for ticket, outcome in zip(batch, outcomes, strict=True):
            if not ticket.done.done():
                ticket.done.set_result(ANSWERS[outcome])
        if self.copies:
            self._copying.begin([(ticket.item, ticket.received_ms) for ticket in batch])

    @property
    def _is_certain(self) -> bool:
        """Whether what the store has just taken may be acknowledged."""
        doubtful = self.watched is not None and self.watched.doubtful
        return self.store_suffices and not (doubtful and self._needs_disk)

    def _distrust(self, batch: list[Ticket]) -> None:
        """The store has them, and may not have them safely: the once-only key bears both."""
        for ticket in batch:
            ticket.in_store = 0
            if ticket.in_spool != PENDING and not ticket.done.done():
                self._enter_spool(ticket)

    def _store_failed(self, batch: list[Ticket], failure: StoreError) -> None:
        waiting = self._store_lane.take_back()
        for ticket in (*batch, *waiting):
            ticket.in_store = FAILED
            if ticket.in_spool == FAILED:
                _refuse(ticket, failure)
            elif not ticket.in_spool and not ticket.done.done():
                self._enter_spool(ticket)

    async def _to_spool(self, batch: list[Ticket]) -> None:
        try:
            await self._spool.put([(ticket.item, ticket.received_ms) for ticket in batch])
        except JournalError as error:
            log.error("inbox.spool_failed", kind=error.kind, why=error.detail, events=len(batch))
            self._spool_failed(batch, StoreError(f"spool_{error.kind}", error.detail))
            return
        except Exception as error:  # boundary: nobody may wait for ever
            log.exception("inbox.spool_failed", kind="bug", why=repr(error), events=len(batch))
            self._spool_failed(batch, StoreError("bug", repr(error)))
            return
        self._metrics.safe_by(SPOOL_LEVEL).inc(len(batch))
        for ticket in batch:
            if ticket.done.done():
                continue  # the store was faster after all
            ticket.done.set_result(SPOOLED)
            if ticket.in_store and not self._suspended:
                self._suspend()

    def _spool_failed(self, batch: list[Ticket], failure: StoreError) -> None:
        for ticket in batch:
            ticket.in_spool = FAILED
            if ticket.in_store == FAILED or not self.store_suffices:
                _refuse(ticket, failure)
            elif not ticket.in_store and not ticket.done.done():
                self._enter_store(ticket)

    def _suspend(self) -> None:
        self._suspended = True
        log.warning("inbox.suspended", why="the store failed or was slow: events go to the spool")
        for ticket in self._store_lane.take_back():
            ticket.in_store = 0
            if ticket.in_spool != PENDING:  # a spool that was full then has room now
                self._enter_spool(ticket)

    @property
    def _pace(self) -> float:
        return min(self._hedge_after / 4, 0.25)

    def _look_after(self) -> None:
        """Hedge what the store has not answered in time; refuse what nobody has."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for lane in (self._store_lane, self._spool_lane):
            self._refuse_overdue(lane, now)
        oldest = self._store_lane.oldest()
        if oldest is not None and now - oldest.arrived >= self._hedge_after:
            self._hedge()
        spooling = self._spool_lane.oldest()
        if spooling is not None and now - spooling.arrived >= self._hedge_after:
            self._ask_store()
        busy = oldest is not None or spooling is not None
        self._look = loop.call_later(self._pace, self._look_after) if busy else None

    def _hedge(self) -> None:
        late = [
            ticket
            for ticket in (*self._store_lane.under_way, *self._store_lane.waiting)
            if not ticket.in_spool and not ticket.done.done()
        ]
        self._metrics.hedged.inc(len(late))
        for ticket in late:
            self._enter_spool(ticket)

    def _ask_store(self) -> None:
        """For what the disk has not taken in time: it may hang, and the store be back."""
        if not self.store_suffices:
            return
        for ticket in (*self._spool_lane.under_way, *self._spool_lane.waiting):
            if not ticket.in_store and not ticket.done.done():
                self._enter_store(ticket)

    def _refuse_overdue(self, lane: Lane, now: float) -> None:
        for ticket in (*lane.under_way, *lane.waiting):
            if now - ticket.arrived < self._deadline:
                return
            _refuse(ticket, StoreError("timeout", "neither store nor spool answered in time"))


def _refuse(ticket: Ticket, failure: StoreError) -> None:
    if not ticket.done.done():
        ticket.done.set_exception(failure)


def _failure(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, TimeoutError):
        return StoreError("timeout", "the store did not answer in time")
    return StoreError("bug", repr(error))
