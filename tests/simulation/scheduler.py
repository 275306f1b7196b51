"""One scheduler process: the real intake, reconciler, registry and client, at the end of a wire."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import TypeVar

from prometheus_client import CollectorRegistry

from agora_sidecar.agora.client import Client
from agora_sidecar.keys import GROUP
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.loops import AT_ONCE, LEASE_LENGTH
from scheduler.recordings.corroboration import Corroboration
from scheduler.recordings.decide import Stops
from scheduler.recordings.gaps import Damper
from scheduler.recordings.intake import Intake
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.reconcile import Reconciler, Shared
from scheduler.recordings.redis_ledger import LEASE
from scheduler.recordings.registry import Registry
from scheduler.recordings.stopping import Stopper
from scheduler.recordings.timings import Timings
from tests.fakes.memory_lease import MemoryLease
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_reader import MemoryReader
from tests.fakes.memory_store import MemoryStore
from tests.simulation.chronicle import Chronicle
from tests.simulation.disk import DiskKept
from tests.simulation.network import HOSTS, Network
from tests.simulation.vendor import APP_ID, Vendor
from tests.simulation.weather import Weather
from tests.simulation.wire import Wire, WiredClock, WiredLease, WiredLedger, WiredReader

_T = TypeVar("_T")

PER_SECOND = 8.0
"""Our part of the account's requests."""
BLOCK = 20.0
"""Seconds that intake waits for entries: longer than in production, and it wakes up as soon."""
FAILURES = ("recording_check_failures_total",)


class UnavailableError(Exception):
    """The process did not answer a request."""


class Scheduler:
    """One process from its start to its end; `name` tells it from those before and beside it."""

    def __init__(
        self,
        name: str,
        *,
        store: MemoryStore,
        vendor: Vendor,
        weather: Weather,
        chronicle: Chronicle,
        clock: Clock,
        timings: Timings,
        disk: dict[str, bytes],
        rng: Random,
    ) -> None:
        self.name = name
        self.wire = Wire(rng)
        self._chronicle = chronicle
        self._timings = timings
        self._clock = WiredClock(clock, self.wire)
        self._counters = CollectorRegistry()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()
        metrics = RecordingMetrics(self._counters)
        ledger = WiredLedger(MemoryLedger(store), self.wire)
        self._lease = WiredLease(
            MemoryLease(store, LEASE, length=LEASE_LENGTH, clock=clock, holder=name), self.wire
        )
        network = Network(
            vendor,
            process=name,
            wire=self.wire,
            weather=weather,
            chronicle=chronicle,
            rng=rng,
        )
        client = Client(
            base_urls=HOSTS,
            customer_id="customer",
            customer_secret="secret",
            clock=self._clock,
            requests_per_second=PER_SECOND,
            transport=network,
        )
        kept = DiskKept(disk, ledger=ledger, keep=timings.keep, clock=self._clock, wire=self.wire)
        stops = Stops(app_ids=frozenset({APP_ID}))
        shared = Shared(
            corroboration=Corroboration(timings=timings, clock=self._clock, metrics=metrics),
            damper=Damper(),
            stopper=Stopper(clock=self._clock, metrics=metrics, rules=stops),
            kept=kept,
        )
        self._reconciler = Reconciler(
            ledger=ledger,
            client=client,
            lease=self._lease,
            timings=timings,
            clock=self._clock,
            metrics=metrics,
            at_once=AT_ONCE,
            shared=shared,
        )
        self._intake = Intake(
            reader=WiredReader(MemoryReader(store, group=GROUP), self.wire),
            ledger=ledger,
            timings=timings,
            clock=self._clock,
            metrics=metrics,
            block=BLOCK,
        )
        self._registry = Registry(
            ledger=ledger, timings=timings, clock=self._clock, kept=kept, stops=stops
        )

        self.disk = disk

    def start(self) -> None:
        """Begin."""
        self._spawn(self._rounds())
        self._spawn(self._intake.run(self._stopping))

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return not (self.wire.dead or self.wire.paused or self._stopping.is_set())

    def kill(self) -> None:
        """It is gone at once, whatever it was doing."""
        self.wire.dead = True
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """It is asked to stop: finishes its round, lets go of its lease."""
        self._stopping.set()
        for task in list(self._tasks):
            if task.get_name() == "rounds":
                await asyncio.wait([task])
        with suppress(StoreError, asyncio.CancelledError):  # as the composition root does
            await self._lease.release()
        self.kill()

    async def serve(self, work: Callable[[Registry], Awaitable[_T]]) -> _T:
        """The answer of its API.

        Raises:
            UnavailableError: there was none; it may have been done all the same.
        """
        if not self.alive:
            raise UnavailableError
        task = self._spawn(work(self._registry))
        await asyncio.wait([task], timeout=5.0)
        if not task.done() or task.cancelled():
            raise UnavailableError
        if task.exception() is not None:
            raise UnavailableError from task.exception()
        return task.result()

    def check(self) -> None:
        """Say what it counted as its own failures."""
        for name in FAILURES:
            count = self._counters.get_sample_value(f"agora_sidecar_{name}") or 0
            if count:
                self._chronicle.bugs.append(f"{self.name}: {name} {count:g}")

    async def _rounds(self) -> None:
        while not self._stopping.is_set():
            again = await self._reconciler.run_once()
            poll = self._timings.poll
            await self._clock.sleep(poll if again is None else min(again, poll))

    def _spawn(self, work: Awaitable[_T]) -> asyncio.Task[_T]:
        name = "rounds" if getattr(work, "__name__", "") == "_rounds" else "work"
        task = asyncio.get_running_loop().create_task(work, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and task.get_name() == "rounds":
            self._chronicle.bugs.append(f"{self.name}: {task.exception()!r}")
