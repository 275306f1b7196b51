from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from scheduler.allowlist.applier import NO_LIST
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.holding import Oddities
from scheduler.allowlist.sync import Sync
from scheduler.allowlist.targets import TargetError
from tests.fakes.address_list import AddressList
from tests.fakes.clock import FakeClock
from tests.fakes.memory_target import MemoryTarget
from tests.fakes.syncs import rules, sync_of

A, B, C = "8.8.8.1", "8.8.8.2", "8.8.8.3"
INTERVAL = 7200.0


class World:
    """A sync over fakes, which may be started anew on the same disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.list = AddressList(A, B)
        self.target = MemoryTarget()
        self.other = MemoryTarget("other")
        self.registry = CollectorRegistry()
        self.published: list[dict[str, Any]] = []
        self.own = {"probe": ip_address("9.9.9.9")}
        self.sync = self.start()

    def start(self, **changed: Any) -> Sync:
        self.registry = CollectorRegistry()

        async def publish(snapshot: dict[str, Any]) -> None:
            self.published.append(snapshot)

        self.sync = sync_of(
            self.folder,
            self.list,
            self.target,
            self.other,
            rules=rules(also_allow=self.own, **changed),
            clock=self.clock,
            registry=self.registry,
            publish=publish,
        )
        return self.sync

    def admitted(self) -> set[str]:
        assert self.target.current is not None
        return {str(address) for address in self.target.current.admitted}

    def audit(self) -> list[dict[str, Any]]:
        return Audit(self.folder / "audit.jsonl").read(last=100)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_good_poll_reaches_every_target(world: World) -> None:
    with capture_logs() as logs:
        assert await world.sync.run_once() is None
    assert world.admitted() == {A, B, "9.9.9.9"}
    assert world.other.current == world.target.current
    assert [entry["event"] for entry in logs] == [
        "allowlist.polled",
        "allowlist.applied",
        "allowlist.applied",
    ]
    assert [record["kind"] for record in world.audit()] == ["poll", "plan", "plan"]
    assert world.published[-1]["targets"][0]["inSync"] is True


async def test_the_same_list_again_writes_nothing(world: World) -> None:
    await world.sync.run_once()
    await world.sync.run_once()
    assert len(world.target.applied) == 1


ODD = [
    b"",
    b"<html>",
    b"null",
    b'{"data":{"service":{"hosts":[]}}}',
    b'{"data":{"service":{"hosts":[{"primaryIP":134744072}]}}}',
    b'{"data":{"service":{"hosts":[{"primaryIP":"0.0.0.0/0"}]}}}',
    b'{"data":{"service":{"hosts":[{"primaryIP":"10.0.0.1"}]}}}',
]


@pytest.mark.parametrize("body", ODD)
async def test_an_odd_answer_changes_nothing(world: World, body: bytes) -> None:
    await world.sync.run_once()
    before = world.admitted()
    world.list.answer(body)
    for _ in range(5):
        assert await world.sync.run_once() is not None
    assert world.admitted() == before
    assert len(world.target.applied) == 1


async def test_failed_polls_are_repeated_soon_and_never_slower_than_usual(world: World) -> None:
    world.list.fail()
    pauses = [await world.sync.run_once() for _ in range(12)]
    assert pauses[:4] == [15.0, 30.0, 60.0, 120.0]
    assert max(pause or 0 for pause in pauses) == INTERVAL
    world.list.say(A)
    assert await world.sync.run_once() is None
    world.list.fail()
    assert await world.sync.run_once() == 15.0


async def test_nothing_known_and_nobody_answering_touches_no_target(world: World) -> None:
    world.list.fail()
    await world.sync.apply_last_known_good()
    await world.sync.run_once()
    assert world.target.applied == []
    assert world.target.current is None


async def test_the_last_known_good_list_is_applied_before_the_first_poll(world: World) -> None:
    await world.sync.run_once()
    world.target.current = None
    world.list.fail()
    await world.start().apply_last_known_good()
    assert world.admitted() == {A, B, "9.9.9.9"}


async def test_a_rotation_admits_at_once_and_lets_go_after_grace(world: World) -> None:
    await world.sync.run_once()
    world.list.say(C)
    with capture_logs() as logs:
        await world.sync.run_once()
    assert "allowlist.full_rotation" in [entry["event"] for entry in logs]
    assert world.admitted() == {A, B, C, "9.9.9.9"}
    await world.sync.run_once()
    again = await world.sync.run_once()
    assert again == 1000.0  # to let go as soon as grace is over
    assert world.target.current is not None
    assert world.target.current.admitted[ip_address(A)] == 1000.0
    world.clock.advance(999.0)
    await world.sync.run_once()
    assert A in world.admitted()
    world.clock.advance(1.0)
    await world.sync.run_once()
    assert world.admitted() == {C, "9.9.9.9"}


async def test_grace_survives_a_restart_and_is_not_begun_again(world: World) -> None:
    await world.sync.run_once()
    world.list.say(A)
    for _ in range(3):
        await world.sync.run_once()
    world.clock.advance(600.0)
    await world.start().run_once()
    left = world.sync.snapshot()["addresses"]
    assert [item["secondsLeft"] for item in left if item["address"] == B] == [400.0]


async def test_a_wall_clock_that_jumps_ahead_while_running_ends_no_grace(world: World) -> None:
    await world.sync.run_once()
    world.list.say(A)
    for _ in range(3):
        await world.sync.run_once()
    world.clock.jump_for_test(1e7)
    await world.sync.run_once()
    assert B in world.admitted()


async def test_a_foreign_edit_is_put_right_and_recorded(world: World) -> None:
    await world.sync.run_once()
    world.target.edit_for_test({ip_address("6.6.6.6"): None})
    await world.sync.run_once()
    assert world.admitted() == {A, B, "9.9.9.9"}
    assert world.audit()[-1]["remove"] == ["6.6.6.6"]


async def test_a_target_that_fails_does_not_keep_the_others_from_theirs(world: World) -> None:
    world.target.fail_next = "the disk is full"
    with capture_logs() as logs:
        await world.sync.run_once()
    assert world.other.current is not None
    failed = [entry for entry in logs if entry["event"] == "allowlist.not_applied"]
    assert [entry["why"] for entry in failed] == ["the disk is full"]
    await world.sync.run_once()
    assert world.admitted() == {A, B, "9.9.9.9"}


async def test_a_target_with_a_bug_does_not_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("IsEgress")

    monkeypatch.setattr(world.target, "read", broken)
    await world.sync.run_once()
    assert world.other.current is not None
    assert world.sync.out_of_sync == ["memory"]


async def test_what_cannot_be_uninstalled_keeps_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses() -> None:
        raise TargetError("memory", "has no `remove`")

    await world.sync.run_once()
    monkeypatch.setattr(world.target, "uninstall", refuses)
    with pytest.raises(TargetError, match="has no `remove`"):
        await world.sync.applier.uninstall()
    assert world.other.current is None


async def test_a_target_that_lies_is_found_out_by_reading_back(world: World) -> None:
    world.target.ignores_writes = True
    with capture_logs() as logs:
        await world.sync.run_once()
    assert any("read back with a difference" in str(entry.get("why")) for entry in logs)
    in_sync = world.registry.get_sample_value(
        "agora_sidecar_allowlist_target_in_sync", {"target": "memory"}
    )
    assert in_sync == 0


async def test_a_plan_changes_nothing(world: World) -> None:
    await world.sync.run_once()
    world.target.current = None
    plans = await world.sync.plans()
    assert plans[0].plan is not None
    assert not plans[0].plan.empty
    assert world.target.current is None


async def test_a_book_that_cannot_be_saved_is_said_and_the_targets_follow(world: World) -> None:
    (world.folder / "book").mkdir()
    (world.folder / "book" / "x").touch()
    with capture_logs() as logs:
        await world.sync.run_once()
    assert "allowlist.book_not_saved" in [entry["event"] for entry in logs]
    assert world.admitted() == {A, B, "9.9.9.9"}


async def test_a_target_that_failed_is_tried_again_soon(world: World) -> None:
    world.target.fail_next = "no such program"
    assert await world.sync.run_once() == 15.0
    world.target.fail_next = "no such program"
    assert await world.sync.run_once() == 30.0
    assert await world.sync.run_once() is None


async def test_a_target_that_keeps_no_time_is_in_sync_all_through_a_grace(world: World) -> None:
    """A file: it is written when an address comes and when it is gone, not while it retires."""
    world.target.timed = False
    await world.sync.run_once()
    world.list.say(A)
    for _ in range(4):
        await world.sync.run_once()
    assert world.sync.snapshot()["targets"][0]["inSync"] is True
    assert len(world.target.applied) == 1
    world.clock.advance(1000.0)
    await world.sync.run_once()
    assert world.admitted() == {A, "9.9.9.9"}
    assert len(world.target.applied) == 2


async def test_a_list_that_fits_is_admitted_however_fast_it_rotates(world: World) -> None:
    """Full turnovers within the grace of the first, each as long as a list may be."""
    world.start(oddities=Oddities(turnovers=32))
    for turn in range(6):
        listed = {f"8.8.{turn}.{n}" for n in range(8)}
        world.list.say(*listed)
        for _ in range(2):
            await world.sync.run_once()
            world.clock.advance(10.0)
            assert listed <= world.admitted()
            assert len(world.admitted()) <= 2 * 8 + 1


async def test_who_has_least_grace_left_makes_room_and_it_is_said(world: World) -> None:
    first, second = ([f"8.8.{turn}.{n}" for n in range(6)] for turn in (1, 2))
    world.list.say(*first)
    await world.sync.run_once()  # besides these, A and B are on no list
    world.list.say(*second)
    for _ in range(3):
        await world.sync.run_once()
    world.list.say(*[f"8.8.3.{n}" for n in range(6)])
    with capture_logs() as logs:
        await world.sync.run_once()
    evicted = [entry for entry in logs if entry["event"] == "allowlist.evicted"]
    assert len(evicted[0]["addresses"]) == 2
    assert not set(evicted[0]["addresses"]) & set(second)


async def test_an_answer_with_something_odd_in_it_adds_and_takes_nobody_away(world: World) -> None:
    await world.sync.run_once()
    world.list.say(A, C, "0.0.0.0/0", "10.0.0.1", 7, None)
    for _ in range(5):
        await world.sync.run_once()
    states = {item["address"]: item["state"] for item in world.sync.snapshot()["addresses"]}
    assert states == {A: "active", B: "active", C: "active"}
    reason = {"reason": "not a public address"}
    name = "agora_sidecar_allowlist_rejected_entries_total"
    assert world.registry.get_sample_value(name, reason) == 5.0


@pytest.mark.parametrize("damage", [b"", b"junk", None])
async def test_without_a_book_who_is_admitted_stays_until_good_polls_say_otherwise(
    world: World, damage: bytes | None
) -> None:
    await world.sync.run_once()
    book = world.folder / "book"
    book.unlink() if damage is None else book.write_bytes(damage)
    world.list.say(A)
    with capture_logs() as logs:
        await world.start().apply_last_known_good()
    assert "allowlist.adopted" in [entry["event"] for entry in logs]
    assert world.sync.snapshot()["lastGoodPoll"] is None
    for _ in range(3):
        await world.sync.run_once()
        assert B in world.admitted()
    world.clock.advance(1000.0)
    await world.sync.run_once()
    assert world.admitted() == {A, "9.9.9.9"}


async def test_what_is_no_public_address_is_not_adopted(world: World) -> None:
    world.target.edit_for_test({ip_address("10.0.0.1"): None, ip_address("9.9.9.9"): None})
    await world.sync.apply_last_known_good()
    assert world.sync.snapshot()["addresses"] == []
    assert world.target.applied == []


async def test_what_earlier_settings_accepted_is_refused_by_those_of_today(world: World) -> None:
    world.list.say(A, "10.0.0.1")
    await world.start(accept_reserved=True).run_once()
    assert "10.0.0.1" in world.admitted()
    sync = world.start()
    await sync.apply_last_known_good()
    assert world.admitted() == {A, "9.9.9.9"}
    world.list.say(A, B)
    await sync.run_once()
    assert sync.keeper.go_back(1)
    assert [str(address) for address in sync.keeper.book.entries] == [A]


async def test_without_a_list_no_plan_is_made(world: World) -> None:
    world.target.edit_for_test({ip_address(A): None})
    plans = await world.sync.plans()
    assert [(outcome.plan, outcome.problem) for outcome in plans] == [(None, NO_LIST)] * 2


POLLS = st.lists(
    st.one_of(
        st.sampled_from(ODD),
        st.lists(st.sampled_from([f"8.8.4.{n}" for n in range(6)] + ["10.0.0.1"]), max_size=12),
        st.just("restart"),
        st.floats(-2000, 2000),
    ),
    max_size=20,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(course=[[f"8.8.4.{n}"] for n in range(4)])
@given(course=POLLS)
async def test_in_any_course_no_listed_address_is_missing_and_nothing_else_is_let_in(
    tmp_path_factory: pytest.TempPathFactory, course: list[Any]
) -> None:
    world = World(tmp_path_factory.mktemp("course"))
    await world.sync.run_once()
    ever, listed, exchanges = {A, B, "9.9.9.9"}, {A, B}, 0
    for step in course:
        if step == "restart":
            await world.start().apply_last_known_good()
        elif isinstance(step, float):
            world.clock.jump_for_test(step)
        elif isinstance(step, bytes):
            world.list.answer(step)
        else:
            world.list.say(*step)
            before, listed = listed, {a for a in step if a != "10.0.0.1"} or listed
            exchanges += not before & listed
        await world.sync.run_once()
        ever |= listed
        held = world.sync.keeper.book.held
        waiting = set() if held is None else {str(address) for address in held.addresses}
        assert not waiting or exchanges > Oddities().turnovers
        assert listed - waiting <= world.admitted() <= ever
