"""Everything of a seed put together, run until it is settled, and what happened meanwhile."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from random import Random
from typing import Any

import structlog

from agora_sidecar.agora.notifications import read_notification
from agora_sidecar.entry import Entry, notification_fields
from scheduler.recordings.session import Session
from scheduler.recordings.timings import Timings
from tests.fakes.memory_store import MemoryStore
from tests.simulation.business import Business
from tests.simulation.chronicle import Chronicle, Told
from tests.simulation.loop import LoopClock
from tests.simulation.scenario import Disturbance, Scenario
from tests.simulation.scheduler import Scheduler
from tests.simulation.vendor import Vendor
from tests.simulation.weather import Weather

WAVE = "recording.not_found_wave"
FINDING = "io.agora.sidecar.recording."
CLOSED = FINDING + "closed"
HORIZON = 4 * 3600.0
"""Seconds after which whatever is not settled never will be."""
LOOK = 10.0
"""Seconds between two looks whether everything is settled."""
STRIKE_WITHIN = 20
"""Calls of a process, of any kind or of one, within which what was ordered for it happens."""
PATIENCE = 60.0
"""Seconds after which it happens wherever the process is."""
WHERE = ("", "", "save", "save", "load", "hold", "call", "acknowledge")
"""Where it happens: on the way to this call or back; anywhere."""


class World:
    """One seed."""

    def __init__(self, plan: Scenario, *, timings: Timings | None = None) -> None:
        self.chronicle = Chronicle()
        self._plan = plan
        self._timings = timings or Timings()
        self._clock = LoopClock()
        self._rng = Random(f"world {plan.seed}")
        self._weather = Weather()
        self._receives = True
        self.store = MemoryStore(now=self._clock.now)
        self.store.on_entry = self._on_entry
        self.vendor = Vendor(
            seed=plan.seed,
            clock=self._clock,
            faults=plan.faults,
            post=self._receive,
            on_adrift=self._adrift,
        )
        self._processes: list[Scheduler] = []
        self._started = 0

    async def run(self) -> Chronicle:
        """All of it, until every recording is settled or the horizon is reached."""
        structlog.configure(processors=[self._log])
        for _ in range(self._plan.schedulers):
            self._start()
        business = Business(
            vendor=self.vendor,
            processes=lambda: self._processes,
            chronicle=self.chronicle,
            clock=self._clock,
            rng=Random(f"business {self._plan.seed}"),
        )
        lives = [asyncio.create_task(business.live(p)) for p in self._plan.recordings]
        trouble = [asyncio.create_task(self._disturb(d)) for d in self._plan.disturbances]
        with suppress(TimeoutError):
            async with asyncio.timeout(HORIZON):
                await asyncio.gather(*lives, *trouble)
                while not self._settled():  # noqa: ASYNC110 - virtual seconds cost nothing
                    await asyncio.sleep(LOOK)
        await self._close()
        return self.chronicle

    def _settled(self) -> bool:
        closed = {told.sid for told in self.chronicle.told if told.kind == "closed"}
        return all(
            sid in closed or not known.known for sid, known in self.chronicle.recordings.items()
        ) and not any(self.vendor.runs(sid) for sid in self.chronicle.recordings)

    async def _close(self) -> None:
        self.chronicle.ended = self._clock.monotonic()
        for process in self._processes:
            process.check()
            process.kill()
        for sid, known in self.chronicle.recordings.items():
            truth = self.vendor.truth(sid)
            if truth is not None and truth.ended is not None:
                known.ended_at = truth.ended - self._clock.now() + self._clock.monotonic()
        journal = self.vendor.journal
        self.chronicle.counts.update(
            {
                "notices": len(journal.notices),
                "notices lost": journal.lost,
                "notices sent twice": journal.duplicates_sent,
                "notices out of order": journal.disordered,
                "notices given up": journal.gave_up,
            }
        )
        await self.vendor.close()

    # what surrounds the processes

    async def _receive(self, body: bytes, headers: dict[str, str], *, source: str) -> int | None:
        """The receiver: what it acknowledges is on the stream, once."""
        await asyncio.sleep(self._rng.uniform(0.005, 0.2))
        notice = read_notification(body)
        status = self._accept(body)
        self.chronicle.arrivals.append(
            (self._clock.monotonic(), notice.sid or "", notice.event_type, str(status))
        )
        return status

    def _accept(self, body: bytes) -> int | None:
        if not self._receives:
            return None
        notice = read_notification(body)
        fields = notification_fields(
            notice, source="default", received_ms=int(self._clock.now() * 1000)
        )
        if self.store.away:
            return 503
        self.store.append([*fields, "data", body], mark=notice.notice_id)
        return 200

    def _adrift(self, sid: str, lasted: float) -> None:
        now = self._clock.monotonic()
        self.chronicle.recordings[sid].adrift = (now - lasted, now)
        self.chronicle.counts["recording fails over"] += 1

    def _on_entry(self, entry: Entry) -> None:
        if not entry.type.startswith(FINDING):
            return
        kept = self.store.find(entry.subject)
        doubted = kept is not None and kept.session is not None and _doubted(kept.session)
        self.chronicle.counts["closed after doubt"] += doubted and entry.type == CLOSED
        self.chronicle.told.append(
            Told(
                at=self._clock.monotonic(),
                sid=entry.subject,
                kind=entry.type.removeprefix(FINDING),
                data=entry.data,
                runs=self.vendor.runs(entry.subject),
                doubted=doubted,
            )
        )

    def _log(self, _: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        if method in {"warning", "error", "exception"} or event.get("event") == WAVE:
            words = " ".join(f"{key}={value}" for key, value in event.items())
            sid = str(event.get("sid", ""))
            self.chronicle.logs.append((self._clock.monotonic(), sid, words[:300]))
            if method == "exception":
                self.chronicle.bugs.append(words[:300])
        raise structlog.DropEvent

    # what goes wrong

    def _start(self, disk: dict[str, bytes] | None = None) -> Scheduler:
        """One process more, on its own machine or on the one with this disk."""
        self._started += 1
        process = Scheduler(
            f"scheduler-{self._started}",
            store=self.store,
            vendor=self.vendor,
            weather=self._weather,
            chronicle=self.chronicle,
            clock=self._clock,
            timings=self._timings,
            disk={} if disk is None else disk,
            rng=Random(f"process {self._plan.seed} {self._started}"),
        )
        self._processes.append(process)
        process.start()
        return process

    async def _disturb(self, what: Disturbance) -> None:
        await self._clock.sleep(what.at)
        self.chronicle.counts[what.kind] += 1
        if what.kind.startswith("scheduler"):
            await self._strike(what)
            return
        self._note(what.kind, what.lasts)
        self._turn(what.kind, on=True)
        await self._clock.sleep(what.lasts)
        self._turn(what.kind, on=False)

    def _turn(self, kind: str, *, on: bool) -> None:
        if kind == "store is away":
            self.store.away = "unreachable" if on else ""
        elif kind == "receiver is away":
            self._receives = not on
        elif on:
            self._weather.begin(kind)
        else:
            self._weather.end(kind)

    async def _strike(self, what: Disturbance) -> None:
        rng = Random(what.dice)
        running = [process for process in self._processes if not process.wire.dead]
        if not running:
            return
        process = rng.choice(running)
        if what.kind == "scheduler is stopped and started":
            self._note(f"{process.name} is stopped", what.lasts)
            await process.end()
            await self._replace(process, what.lasts)
            return
        struck = asyncio.Event()

        def strike() -> None:
            if struck.is_set():
                return
            struck.set()
            if what.kind == "scheduler is killed":
                process.kill()
            else:
                process.wire.pause(what.lasts)
            self._note(f"{process.name}: {what.kind}", what.lasts)

        process.wire.strike(rng.choice(WHERE), rng.randint(1, STRIKE_WITHIN), strike)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await struck.wait()
        if not struck.is_set():  # it does not come by there: then anywhere
            strike()
        if what.kind == "scheduler is killed":
            await self._replace(process, what.lasts)

    async def _replace(self, process: Scheduler, after: float) -> None:
        if process not in self._processes:  # what was ordered before came late, and did it already
            return
        process.check()
        self._processes.remove(process)
        await self._clock.sleep(after)
        self._start(process.disk)

    def _note(self, what: str, lasts: float) -> None:
        now = self._clock.monotonic()
        self.chronicle.happened.append((now, now + lasts, what))


def _doubted(session: Session) -> bool:
    """Whether some of its 404s, the first and the last among them, were not believed."""
    believed = session.missing_since, session.missing_at
    return session.doubted or believed != (session.unfound_since, session.unfound_at)


async def simulate(plan: Scenario, *, timings: Timings | None = None) -> Chronicle:
    """What happened in this seed; logging is configured for it, and as before afterwards."""
    before = structlog.get_config()
    try:
        return await World(plan, timings=timings).run()
    finally:
        structlog.configure(**before)
