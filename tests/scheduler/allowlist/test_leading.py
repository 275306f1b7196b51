"""What machines share is written by who leads, and by nobody who does no longer."""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from agora_sidecar.store import StoreError
from scheduler.allowlist.applier import FOLLOWS
from scheduler.allowlist.plan import Wish
from scheduler.allowlist.targets import ANYTIME, Permit
from tests.fakes.address_list import AddressList
from tests.fakes.memory_target import MemoryTarget
from tests.fakes.syncs import World, rules, sync_of

A, B = "8.8.8.1", "8.8.8.2"


class Lead:
    """A lease that is ours, somebody else's, or lost after so many looks."""

    length = 60.0

    def __init__(self, fence: int | None = 7) -> None:
        self.given = fence
        self.away = False
        self.looks_left: int | None = None

    @property
    def fence(self) -> int | None:
        if self.looks_left is not None:
            self.looks_left -= 1
            if self.looks_left < 0:
                return None
        return self.given

    async def hold(self) -> int | None:
        if self.away:
            raise StoreError("unreachable", "told to be away")
        return self.given


@pytest.fixture
def lead() -> Lead:
    return Lead()


@pytest.fixture
def world(tmp_path: Path, lead: Lead) -> World:
    found = World(tmp_path, A, B)
    found.leads = lead
    found.target.shared = True
    found.start()
    return found


async def test_the_leader_writes_with_its_fence_and_the_plans_name(world: World) -> None:
    await world.sync.run_once()
    assert world.admitted() == {A, B}
    (permit,) = world.target.permits
    assert permit.epoch == 7
    plans = [r for r in world.sync.audit.recent() if r["kind"] == "plan"]
    assert (permit.plan, plans[-1]["epoch"]) == (plans[-1]["plan"], 7)


@pytest.mark.parametrize("store", ["away", "there"])
async def test_who_does_not_lead_reads_and_says_what_is_missing(
    world: World, lead: Lead, store: str
) -> None:
    lead.given, lead.away = None, store == "away"
    await world.sync.run_once()
    assert world.target.applied == []
    assert world.sync.snapshot()["targets"][0]["problem"] == FOLLOWS


async def test_a_follower_is_content_with_what_the_leader_wrote(world: World, lead: Lead) -> None:
    await world.sync.run_once()
    lead.given = None
    world.target.edit_for_test({ip_address("9.9.9.9"): None})
    await world.sync.run_once()
    assert world.sync.snapshot()["targets"][0]["inSync"] is True
    assert len(world.target.applied) == 1


async def test_a_lease_that_is_lost_stops_before_the_next_call(world: World, lead: Lead) -> None:
    lead.looks_left = 0
    await world.sync.run_once()
    assert world.target.applied == []
    assert "the lease was lost" in world.sync.snapshot()["targets"][0]["problem"]
    lead.looks_left = None
    await world.sync.run_once()
    assert world.admitted() == {A, B}


async def test_what_belongs_to_this_machine_needs_no_leader(world: World, lead: Lead) -> None:
    world.target.shared, lead.given = False, None
    await world.sync.run_once()
    assert world.admitted() == {A, B}


class Cloud(MemoryTarget):
    """Takes as long as it is told to."""

    def __init__(self) -> None:
        super().__init__("cloud", timed=False)
        self.shared = True
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        self.begun.set()
        await self.may_end.wait()
        await super().apply(wish, permit)


async def test_a_cloud_that_takes_its_time_keeps_nobody_from_this_machines_firewall(
    tmp_path: Path, lead: Lead
) -> None:
    cloud, own = Cloud(), MemoryTarget("own")
    sync = sync_of(tmp_path, AddressList(A), cloud, own, rules=rules(), leads=lead)
    async with asyncio.timeout(20):
        polling = asyncio.create_task(sync.run_once())
        await cloud.begun.wait()
        assert len(own.applied) == 1
        own.current = None  # as after nft flush ruleset
        await sync.bring_in_line(cause="drift", which=lambda target: not target.shared)
        assert len(own.applied) == 2
        assert await sync.run_once(which=lambda target: not target.shared) is None
        assert not polling.done()
        cloud.may_end.set()
        await polling
    assert cloud.current is not None
    assert len(cloud.applied) == 1
