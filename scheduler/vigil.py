"""What keeps the lists as they should be between two polls, and carries out what the operator asks.

Changes of others are repaired, knocks and hints lead to polls, every minute all is read again; the
operator's commands come through a folder. Joins the allow-list's parts with the timetable.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog

from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.process.health import Health
from agora_sidecar.process.serving import background
from agora_sidecar.store import Redis
from scheduler.allowlist.drift import Drift
from scheduler.allowlist.hints import HintReader
from scheduler.allowlist.knocks import Knocks
from scheduler.allowlist.mailbox import FolderLock, Mailbox
from scheduler.allowlist.operating import Operating
from scheduler.allowlist.sync import Sync
from scheduler.assembly import filtering
from scheduler.settings import AllowlistSettings
from scheduler.timetable import Timetable

log = structlog.get_logger()

JOB = "allowlist"
SHARED_JOB = "allowlist-shared"
JITTER = 0.05
"""By which part of itself an interval of polls varies, so that a fleet does not ask at once."""
READ_AGAIN = 60.0
"""Seconds between two readings of this machine's targets."""
READ_SHARED = 300.0
"""Seconds between two readings of what machines share."""
ORDERS = 0.25
"""Seconds between two looks for what the operator asks."""


class Vigil:
    """The allow-list's jobs and what runs beside them."""

    def __init__(
        self,
        sync: Sync,
        settings: AllowlistSettings,
        *,
        store: Redis,
        keys: Keys,
        folder: Path,
        timetable: Timetable,
        health: Health,
        clock: Clock,
    ) -> None:
        self._sync = sync
        self._settings = settings
        self._store = store
        self._keys = keys
        self._mailbox = Mailbox(folder)
        self._lock = FolderLock(folder)
        self._timetable = timetable
        self._health = health
        self._clock = clock
        self._filtering = filtering(settings)
        self._shares = any(target.shared for target in sync.applier.targets)
        self._polled = False
        self._drift = Drift(sync, listen=self._filtering.changes, clock=clock, metrics=sync.metrics)

    def add_jobs(self) -> None:
        """Put the polls and the readings on the timetable."""
        interval = self._settings.poll_interval
        self._timetable.add(JOB, self._poll, interval=interval, jitter=interval * JITTER)
        self._timetable.add("allowlist-read", self._read, interval=READ_AGAIN)
        if self._shares:
            self._timetable.add(SHARED_JOB, self._shared, interval=READ_SHARED)

    @asynccontextmanager
    async def watching(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Watch, as long as the block runs."""
        hints = HintReader(
            self._store,
            self._keys,
            on_hint=self._hinted,
            on_deliveries=self._sync.sightings.delivered,
            clock=self._clock,
        )
        work: list[Coroutine[Any, Any, None]] = [hints.run(stop), self._orders()]
        if self._filtering.watched:
            work.append(self._drift.run())
        if self._filtering.hears_knocks:
            work.append(self._knocks().run())
        try:
            async with background(*work):
                yield
        finally:
            self._lock.release()

    def _knocks(self) -> Knocks:
        return Knocks(
            read=self._filtering.knocks,
            on_knock=partial(self._hurry, "knock"),
            admitted=lambda: self._sync.keeper.book.entries,
            sightings=self._sync.sightings,
            clock=self._clock,
            metrics=self._sync.metrics,
        )

    def _hurry(self, cause: str) -> None:
        self._sync.ask(cause)
        self._timetable.hurry(JOB)

    async def _hinted(self, addresses: Sequence[str]) -> None:
        for text in addresses:
            try:
                self._sync.sightings.came(ip_address(text), authentic=True)
            except ValueError:
                continue
        self._hurry("hint")

    async def _poll(self) -> float | None:
        again = await self._sync.run_once(which=lambda target: not target.shared)
        if self._shares:  # by a job of their own: the next knock does not wait for a cloud
            self._polled = True
            self._timetable.hurry(SHARED_JOB)
        # shown, never required: an old list is no reason to stop whoever enforces it
        failed, level = self._sync.failures, self._sync.watch_age()
        problem = f"{failed} polls in a row failed" if failed else ""
        problem += f"{', ' if problem else ''}the list is {level}" if level else ""
        self._health.report("address list", problem, required=False)
        return again

    async def _read(self) -> None:
        self._sync.watch_age()
        self._sync.sightings.save()
        if self._sync.keeper.book.entries:
            await self._drift.repair()

    async def _shared(self) -> None:
        polled, self._polled = self._polled, False
        if polled:
            await self._sync.bring_in_line(cause="schedule", which=lambda target: target.shared)
        else:
            await self._drift.repair(which=lambda target: target.shared)

    async def _orders(self) -> None:
        operating = Operating(self._sync, clock=self._clock)
        while True:
            try:
                if self._lock.take():
                    await operating.serve(self._mailbox)
            except OSError as error:
                log.error("allowlist.requests_unread", why=error.strerror)
                await self._clock.sleep(READ_AGAIN)
            await self._clock.sleep(ORDERS)
