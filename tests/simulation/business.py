"""The business server: starts recordings at the vendor, makes them known to us, wants them ended."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import msgspec

from agora_sidecar.emulator.account import Path
from agora_sidecar.process.clock import Clock
from scheduler.recordings.registration import Registration
from scheduler.recordings.registry import Registry
from tests.simulation.chronicle import Chronicle, Known
from tests.simulation.orders import SCENES, client_request
from tests.simulation.scenario import Planned
from tests.simulation.scheduler import Scheduler, UnavailableError
from tests.simulation.vendor import APP_ID, Vendor

_T = TypeVar("_T")

AGAIN = (0.5, 3.0)
"""Seconds before something that failed is tried again."""


class Business:
    """Lives with each recording from its start to its end."""

    def __init__(
        self,
        *,
        vendor: Vendor,
        processes: Callable[[], list[Scheduler]],
        chronicle: Chronicle,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._vendor = vendor
        self._processes = processes
        self._chronicle = chronicle
        self._clock = clock
        self._rng = rng

    async def live(self, planned: Planned) -> None:
        """One recording, from before its start until nothing more is wanted of it."""
        await self._clock.sleep(planned.at)
        if planned.silent:
            self._vendor.publish(planned.cname, present=False)
        known, path = await self._start(planned)
        async with asyncio.TaskGroup() as group:
            if planned.known_after is not None:
                group.create_task(self._register(planned, known, path))
            group.create_task(self._end(planned, known, path))

    async def _start(self, planned: Planned) -> tuple[Known, Path]:
        wishes = client_request(planned.mode, max_idle=planned.max_idle, mp4=planned.mp4)
        while True:
            scene = {"scene": SCENES[planned.mode]}
            acquired = await self._call("acquire", planned, Path(APP_ID), scene)
            place = Path(APP_ID, acquired["resourceId"], mode=planned.mode)
            started = await self._call("start", planned, place, wishes)
            if "sid" in started:
                break
        known = Known(
            sid=started["sid"],
            cname=planned.cname,
            mode=planned.mode,
            started_at=self._clock.monotonic(),
            end=planned.end + (", nobody publishes" if planned.silent else ""),
            known=planned.known_after is not None,
        )
        self._chronicle.recordings[known.sid] = known
        return known, place._replace(sid=known.sid)

    async def _register(self, planned: Planned, known: Known, path: Path) -> None:
        began = self._clock.now()
        await self._clock.sleep(planned.known_after or 0.0)
        facts = Registration(
            sid=known.sid,
            app_id=APP_ID,
            resource_id=path.resource_id,
            mode=path.mode,
            cname=planned.cname,
            uid=planned.uid,
            source="default",
            started_at=began,
            max_duration=planned.max_duration,
            resource_expired_hour=None,
            max_idle_time=float(planned.max_idle),
        )
        if planned.max_duration is not None:
            known.wanted_at = known.started_at + planned.max_duration
        await self._ask(lambda registry: registry.register(facts))
        known.registered_at = self._clock.monotonic()

    async def _end(self, planned: Planned, known: Known, path: Path) -> None:
        await self._clock.sleep(planned.life)
        if planned.end == "left":
            self._vendor.publish(planned.cname, present=False)
        elif planned.end == "asked" and known.known:
            while known.registered_at is None:
                await self._clock.sleep(1.0)
            known.wanted_at = self._clock.monotonic()
            await self._ask(lambda registry: registry.want_stopped(known.sid))
        elif planned.end != "limit" or not known.known:
            # nobody has it for a while, while another worker takes it over: try again
            await self._call("stop", planned, path, {"async_stop": True}, over=(400, 206))

    async def _ask(self, work: Callable[[Registry], Awaitable[_T]]) -> _T:
        while True:
            processes = [process for process in self._processes() if process.alive]
            if processes:
                try:
                    return await self._rng.choice(processes).serve(work)
                except UnavailableError:
                    pass
            await self._clock.sleep(self._rng.uniform(*AGAIN))

    async def _call(
        self,
        name: str,
        planned: Planned,
        path: Path,
        wishes: dict[str, Any],
        *,
        over: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        body = msgspec.json.encode(
            {"cname": planned.cname, "uid": planned.uid, "clientRequest": wishes}
        )
        while True:
            status, answer = self._vendor.call(name, path, body)
            gone = status == 404 and not self._vendor.runs(path.sid)
            if status == 200 or status in over or gone:
                found: dict[str, Any] = msgspec.json.decode(answer)
                return found
            await self._clock.sleep(self._rng.uniform(*AGAIN))
