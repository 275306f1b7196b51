"""The recordings loop of every shard: intake, lease and reconciler, and all of them as one.

The shards share one client of Agora, and so its budget. With one shard, nothing tells that there
could be several: no number in names of jobs, lines of the log or the status.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from prometheus_client import CollectorRegistry
from structlog.contextvars import bound_contextvars

from agora_sidecar.agora.client import Client
from agora_sidecar.keys import GROUP, Keys, Shards
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, StoreError
from agora_sidecar.stream import GroupReader
from scheduler.assembly import timings_of
from scheduler.leadership import Lease
from scheduler.recordings.breaker import Breaker
from scheduler.recordings.corroboration import Corroboration
from scheduler.recordings.decide import Stops
from scheduler.recordings.findings import brief
from scheduler.recordings.gaps import Damper
from scheduler.recordings.intake import Intake
from scheduler.recordings.kept import Kept
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.pace import Pace
from scheduler.recordings.reconcile import Reconciler, Shared
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import State
from scheduler.recordings.sharded_ledger import ShardedLedger
from scheduler.recordings.stop_audit import StopAudit
from scheduler.recordings.stopping import Stopper
from scheduler.settings import RecordingsSettings
from scheduler.timetable import Job

_T = TypeVar("_T")

LEASE_LENGTH = 15.0
"""Seconds that a leader may be silent before another one takes over."""
SHOWN = 50
"""Open recordings in the status, those that changed last."""
TIDY = 60.0
"""Seconds between looks for what other schedulers closed, among what this one remembers."""
AT_ONCE = 8
"""Recordings checked at the same time, of all shards together; of each shard one at least."""


class _Shard:
    """One shard's parts; `number` is none where there is only one."""

    def __init__(self, keys: Keys, ledger: RedisLedger, lease: Lease, number: int | None) -> None:
        self.keys = keys
        self.ledger = ledger
        self.lease = lease
        self.number = number
        self.tidy_at = 0.0
        self.job = "recordings" if number is None else f"recordings-{number}"

    async def told(self, work: Awaitable[_T]) -> _T:
        """Do this with the shard's number in every line of the log."""
        if self.number is None:
            return await work
        with bound_contextvars(shard=self.number):
            return await work


class Loops:
    """The recordings loops of all shards."""

    def __init__(
        self,
        settings: RecordingsSettings,
        *,
        store: Redis,
        shards: Shards,
        client: Client,
        clock: Clock,
        registry: CollectorRegistry,
        data_dir: Path,
        app_ids: Collection[str],
        rate: Callable[[], float],
    ) -> None:
        self.timings = timings_of(settings)
        self._store = store
        self._client = client
        self._clock = clock
        self._metrics = RecordingMetrics(registry)
        self._ledger = ShardedLedger(store, shards, keep=settings.keep)
        folder = data_dir / "recordings"
        kept_in = folder / "registrations"
        self._kept = Kept(kept_in, ledger=self._ledger, keep=settings.keep, clock=clock)
        self._stopper = _stopper(settings, self._metrics, clock=clock, folder=folder, ours=app_ids)
        self._rate = rate
        self._reconcilers: list[Reconciler] = []
        self._several = len(shards.all) > 1
        self._shards = _shards(store, shards, self._ledger, clock=clock)
        self.registry = Registry(
            ledger=self._ledger,
            timings=self.timings,
            clock=clock,
            max_duration=settings.max_duration,
            kept=self._kept,
            stops=self._stopper.allowed,
        )
        self._show()

    def intakes(self, stop: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
        """Every shard's intake, until `stop` is set."""
        consumer = f"scheduler-{uuid4().hex[:8]}"
        for shard in self._shards:
            intake = Intake(
                reader=GroupReader(self._store, shard.keys, group=GROUP, consumer=consumer),
                ledger=shard.ledger,
                timings=self.timings,
                clock=self._clock,
                metrics=self._metrics,
            )
            yield shard.told(intake.run(stop))

    def jobs(self) -> Iterator[tuple[str, Job]]:
        """Every shard's rounds, under the name of the job."""
        shared = Shared(
            corroboration=Corroboration(
                timings=self.timings, clock=self._clock, metrics=self._metrics
            ),
            damper=Damper(),
            stopper=self._stopper,
            kept=self._kept,
            rate=self._rate,
        )
        for shard in self._shards:
            reconciler = Reconciler(
                ledger=shard.ledger,
                client=self._client,
                lease=shard.lease,
                timings=self.timings,
                clock=self._clock,
                metrics=self._metrics,
                at_once=max(1, AT_ONCE // len(self._shards)),
                shared=shared,
            )
            self._reconcilers.append(reconciler)
            yield shard.job, partial(self._round, shard, reconciler)

    def status(self) -> dict[str, Any]:
        """In how many shards this process leads, and the open recordings it knows of."""
        leads = self._leads()
        shown: dict[str, Any] = {"leading": leads > 0}
        if self._several:
            shown |= {"shards": len(self._shards), "shardsLed": leads}
        counts = self._ledger.open_by_state()
        now = self._clock.now()
        pace = self._pace()
        return shown | {
            "effectiveInterval": round(pace.interval(self.timings), 1),
            "timeToFindingBound": round(pace.bound(self.timings), 1),
            "late": round(pace.lag, 1),
            "notFoundWave": pace.wave,
            "budgetLeft": round(self._rate(), 1),
            "stops": self._stopper.status(),
            "keptOnDisk": {"recordings": len(self._kept), "problem": self._kept.problem or None},
            "open": {state.value: number for state, number in counts.items()},
            "recordings": [brief(one, now=now) for one in self._ledger.open_sessions(limit=SHOWN)],
        }

    async def release(self) -> None:
        """Let somebody else lead at once."""
        for shard in self._shards:
            with suppress(StoreError):
                await shard.lease.release()

    async def _round(self, shard: _Shard, reconciler: Reconciler) -> float | None:
        again = await shard.told(reconciler.run_once())
        now = self._clock.monotonic()
        if now >= shard.tidy_at:
            shard.tidy_at = now + TIDY
            with suppress(StoreError):  # the next time, then
                await shard.ledger.forget_told()
        return again

    def _leads(self) -> int:
        return sum(shard.lease.fence is not None for shard in self._shards)

    def _pace(self) -> Pace:
        """The slowest of all shards."""
        paces = [reconciler.pace for reconciler in self._reconcilers]
        lag = max((pace.lag for pace in paces), default=0.0)
        return Pace(lag, wave=any(pace.wave for pace in paces))

    def _show(self) -> None:
        """Let the gauges show all shards: each reconciler knows its own alone."""
        metrics = self._metrics
        metrics.leading.set_function(lambda: float(self._leads() > 0))
        metrics.interval.set_function(lambda: self._pace().interval(self.timings))
        metrics.bound.set_function(lambda: self._pace().bound(self.timings))
        metrics.budget_left.set_function(self._rate)
        metrics.kept.set_function(lambda: -1.0 if self._kept.problem else float(len(self._kept)))
        for state in State:
            metrics.recordings.labels(state.value).set_function(partial(self._open_in, state))

    def _open_in(self, state: State) -> float:
        return self._ledger.open_by_state()[state]


def _shards(
    store: Redis, shards: Shards, ledger: ShardedLedger, *, clock: Clock
) -> Sequence[_Shard]:
    several = len(shards.all) > 1
    return [
        _Shard(
            keys,
            ledger.parts[number],
            Lease(store, keys, LEASE, length=LEASE_LENGTH, clock=clock),
            number if several else None,
        )
        for number, keys in enumerate(shards.all)
    ]


def _stopper(
    settings: RecordingsSettings,
    metrics: RecordingMetrics,
    *,
    clock: Clock,
    folder: Path,
    ours: Collection[str],
) -> Stopper:
    return Stopper(
        clock=clock,
        metrics=metrics,
        rules=Stops(settings.stop_policy == "owed", frozenset(ours)),
        breaker=Breaker(settings.stops_per_hour),
        audit=StopAudit(folder / "stops.jsonl"),
    )
