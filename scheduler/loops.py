"""The recordings loop of every shard: intake, lease and reconciler, and all of them as one.

The shards share one client of Agora, and so its budget. With one shard, nothing tells that there
could be several: no number in names of jobs, lines of the log or the status.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
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
from scheduler.recordings.findings import brief
from scheduler.recordings.intake import Intake
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.reconcile import Reconciler
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import State
from scheduler.recordings.sharded_ledger import ShardedLedger
from scheduler.recordings.wave import Wave
from scheduler.settings import RecordingsSettings
from scheduler.timetable import Job

_T = TypeVar("_T")

LEASE_LENGTH = 15.0
"""Seconds that a leader may be silent before another one takes over."""
SHOWN = 50
"""Open recordings in the status, those that changed last."""
AT_ONCE = 8
"""Recordings checked at the same time, of all shards together; of each shard one at least."""


class _Shard:
    """One shard's parts; `number` is none where there is only one."""

    def __init__(self, keys: Keys, ledger: RedisLedger, lease: Lease, number: int | None) -> None:
        self.keys = keys
        self.ledger = ledger
        self.lease = lease
        self.number = number
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
    ) -> None:
        self.timings = timings_of(settings)
        self._store = store
        self._client = client
        self._clock = clock
        self._stops = settings.stop_policy == "owed"
        self._metrics = RecordingMetrics(registry)
        self._ledger = ShardedLedger(store, shards, keep=settings.keep)
        self._several = len(shards.all) > 1
        self._shards = [
            _Shard(
                keys,
                ledger,
                Lease(store, keys, LEASE, length=LEASE_LENGTH, clock=clock),
                number if self._several else None,
            )
            for number, (keys, ledger) in enumerate(
                zip(shards.all, self._ledger.parts, strict=True)
            )
        ]
        self.registry = Registry(
            ledger=self._ledger,
            timings=self.timings,
            clock=clock,
            max_duration=settings.max_duration,
        )
        if self._several:
            self._count_together()

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
        wave = Wave(window=self.timings.wave_window)
        for shard in self._shards:
            reconciler = Reconciler(
                ledger=shard.ledger,
                client=self._client,
                lease=shard.lease,
                timings=self.timings,
                clock=self._clock,
                metrics=self._metrics,
                stops=self._stops,
                at_once=max(1, AT_ONCE // len(self._shards)),
                wave=wave,
            )
            yield shard.job, partial(_round, shard, reconciler)

    def status(self) -> dict[str, Any]:
        """In how many shards this process leads, and the open recordings it knows of."""
        leads = self._leads()
        shown: dict[str, Any] = {"leading": leads > 0}
        if self._several:
            shown |= {"shards": len(self._shards), "shardsLed": leads}
        counts = self._ledger.open_by_state()
        now = self._clock.now()
        return shown | {
            "open": {state.value: number for state, number in counts.items()},
            "recordings": [brief(one, now=now) for one in self._ledger.open_sessions(limit=SHOWN)],
        }

    async def release(self) -> None:
        """Let somebody else lead at once."""
        for shard in self._shards:
            with suppress(StoreError):
                await shard.lease.release()

    def _leads(self) -> int:
        return sum(shard.lease.fence is not None for shard in self._shards)

    def _count_together(self) -> None:
        """Let the gauges show all shards: each reconciler knows its own alone."""
        self._metrics.leading.set_function(lambda: float(self._leads() > 0))
        for state in State:
            gauge = self._metrics.recordings.labels(state.value)
            gauge.set_function(partial(self._open_in, state))

    def _open_in(self, state: State) -> float:
        return self._ledger.open_by_state()[state]


async def _round(shard: _Shard, reconciler: Reconciler) -> float | None:
    return await shard.told(reconciler.run_once())
