"""Clocks, overlaps and error boundaries of the scheduler's jobs; the only importer of APScheduler.

A job never overlaps itself, and a run that was missed is made up once. A job that fails is logged
and counted, and runs again at its next time. A job may say when it wants to be called again: that
counts when it is earlier than its usual time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from prometheus_client import CollectorRegistry, Counter, Histogram

log = structlog.get_logger()

Job = Callable[[], Awaitable[float | None]]
"""Does its work; returns the seconds until it wants to be called again, None for its usual time."""


class TimetableMetrics:
    """How the jobs run."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "agora_sidecar_job_runs_total",
            "Runs of scheduled jobs: ok, failed, overrun (still running when it was due again).",
            ["job", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "agora_sidecar_job_seconds",
            "Duration of scheduled jobs, seconds.",
            ["job"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
            registry=registry,
        )


class Timetable:
    """Runs jobs at intervals, and once at the start."""

    def __init__(self, *, metrics: TimetableMetrics) -> None:
        self._metrics = metrics
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._overrun, EVENT_JOB_MAX_INSTANCES)
        self._running: dict[asyncio.Future[float | None], str] = {}
        self._hurried: set[str] = set()

    def add(self, name: str, job: Job, *, interval: float, jitter: float = 0.0) -> None:
        """Run `job` now and then every `interval` seconds, give or take `jitter` seconds."""

        async def run() -> None:
            again = await self._finished(name, job)
            while name in self._hurried:  # asked for while it ran: what it saw may be old
                self._hurried.discard(name)
                again = await self._finished(name, job)
            if again is not None and again < interval:
                self._hasten(name, again)

        self._scheduler.add_job(
            run,
            "interval",
            seconds=interval,
            jitter=jitter or None,
            id=name,
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        """Begin; the first runs are due at once."""
        self._scheduler.start()

    def hurry(self, name: str) -> None:
        """Run this job as soon as possible; once more where it runs already."""
        if name in self._running.values():
            self._hurried.add(name)
        else:
            self._hasten(name, 0.0)

    async def close(self, *, within: float) -> None:
        """Start no job any more, and let those that run finish, for at most `within` seconds."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if not self._running:
            return
        _, unfinished = await asyncio.wait(self._running, timeout=within)
        for job in unfinished:
            job.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    def _hasten(self, name: str, seconds: float) -> None:
        job = self._scheduler.get_job(name)
        when = datetime.now(UTC) + timedelta(seconds=max(0.0, seconds))
        if job is not None and (job.next_run_time is None or when < job.next_run_time):
            job.modify(next_run_time=when)

    async def _finished(self, name: str, job: Job) -> float | None:
        # shielded: APScheduler cancels what runs when it is shut down, we let it finish
        running = asyncio.ensure_future(self._run(name, job))
        self._running[running] = name
        running.add_done_callback(lambda done: self._running.pop(done, None))
        return await asyncio.shield(running)

    async def _run(self, name: str, job: Job) -> float | None:
        started = time.monotonic()
        try:
            again = await job()
        except Exception as error:  # boundary: one job's bug must not stop the others
            self._metrics.runs.labels(name, "failed").inc()
            log.exception("job.failed", job=name, why=repr(error))
            return None
        self._metrics.runs.labels(name, "ok").inc()
        self._metrics.seconds.labels(name).observe(time.monotonic() - started)
        return again

    def _overrun(self, event: JobEvent) -> None:
        self._metrics.runs.labels(event.job_id, "overrun").inc()
        log.warning("job.overrun", job=event.job_id)
