import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scheduler.allowlist.drift import AGAIN, STORM, STORM_GAP, STORM_WINDOW, Drift
from scheduler.allowlist.targets import TargetError
from tests.fakes.syncs import World
from tests.integration.processes import until

A, EVIL = "8.8.8.1", ip_address("6.6.6.6")


@dataclass(frozen=True)
class Change:
    writer: str = "ufw"


class Watched(World):
    """A world whose target somebody else changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, A)
        self.changes: asyncio.Queue[Change | Exception] = asyncio.Queue()
        self.listeners = 0
        self.drift = Drift(
            self.sync, listen=self.listen, clock=self.clock, metrics=self.sync.metrics
        )

    async def listen(self) -> AsyncGenerator[Change, None]:
        self.listeners += 1
        try:
            while True:
                change = await self.changes.get()
                if isinstance(change, Exception):
                    raise change
                yield change
        finally:
            await asyncio.sleep(0.02)  # as the end of a program takes
            self.listeners -= 1

    def damage(self) -> None:
        self.target.edit_for_test({EVIL: None})


@pytest.fixture
async def world(tmp_path: Path) -> Watched:
    found = Watched(tmp_path)
    await found.sync.run_once()
    return found


async def test_a_foreign_edit_is_put_right_counted_and_said_with_its_writer(
    world: Watched,
) -> None:
    world.damage()
    with capture_logs() as logs:
        assert await world.drift.repair(writer="ufw") == 1
    assert world.admitted() == {A}
    assert [e["writer"] for e in logs if e["event"] == "allowlist.repaired"] == ["ufw"]
    assert world.measured("drift_repairs_total", target="memory") == 1
    assert world.sync.audit.recent()[-1]["cause"] == "drift"


async def test_a_change_that_concerns_nobody_of_ours_is_no_repair(world: Watched) -> None:
    assert await world.drift.repair() == 0


async def test_a_storm_is_said_and_slows_repairs_down(world: Watched) -> None:
    for _ in range(STORM + 1):
        world.damage()
        await world.drift.repair(writer="script")
    assert world.drift.storming
    assert world.measured("repair_storm") == 1
    world.damage()
    with capture_logs() as logs:
        task = asyncio.create_task(world.drift.repair(writer="script"))
        await until(lambda: STORM_GAP in world.clock.slept)
        assert str(EVIL) in world.admitted()
        world.clock.advance(STORM_GAP)
        assert await task == 1
    assert ("allowlist.repair_storm", "script") in [(e["event"], e.get("writer")) for e in logs]
    world.clock.advance(STORM_WINDOW)
    assert not world.drift.storming


async def test_listening_that_ends_is_begun_again_and_what_happened_meanwhile_is_found(
    world: Watched,
) -> None:
    task = asyncio.create_task(world.drift.run())
    with capture_logs() as logs:
        await world.changes.put(TargetError("nftables", "nft monitor ended"))
        await until(lambda: AGAIN in world.clock.slept)
        world.damage()
        world.clock.advance(AGAIN)
        await until(lambda: world.admitted() == {A})
        world.damage()
        await world.changes.put(Change())
        await until(lambda: world.admitted() == {A})
    task.cancel()
    events = [entry["event"] for entry in logs]
    assert events.count("allowlist.drift_unwatched") == 1
    assert "allowlist.drift_watched" in events


async def test_a_repair_that_is_cut_off_leaves_no_listener_behind(world: Watched) -> None:
    for _ in range(STORM + 1):
        world.damage()
        await world.drift.repair(writer="script")
    task = asyncio.create_task(world.drift.run())
    await world.changes.put(Change())
    await until(lambda: STORM_GAP in world.clock.slept)
    assert world.listeners == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.listeners == 0
