from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from scheduler.allowlist.mailbox import Answer, Mailbox, Request
from scheduler.allowlist.operating import Operating
from tests.fakes.syncs import World

A, B, C = "8.8.8.1", "8.8.8.2", "8.8.8.3"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    found = World(tmp_path, A, B, max_entries=32)
    await found.sync.run_once()
    return found


async def order(world: World, kind: str, argument: str = "", **others: Any) -> Answer:
    request = Request(kind, world.clock.now(), argument, actor="ana", **others)
    return await Operating(world.sync, clock=world.clock).carry_out(request)


async def test_a_poll_on_request_learns_at_once(world: World) -> None:
    world.list.say(A, B, C)
    assert (await order(world, "poll")).done
    assert C in world.admitted()
    world.list.fail()
    answer = await order(world, "poll")
    assert (answer.done, "no usable list" in answer.text) == (False, True)


async def test_frozen_targets_are_left_alone_whoever_changes_what(world: World) -> None:
    assert (await order(world, "freeze", "moving the proxy")).done
    world.target.edit_for_test({ip_address("6.6.6.6"): None})
    world.list.say(A, B, C)
    await world.sync.run_once()
    assert world.admitted() == {A, B, "6.6.6.6"}
    shown = world.sync.snapshot()
    assert shown["frozen"]["why"] == "moving the proxy"
    assert shown["targets"][0]["problem"] == "frozen, and not as it should be"
    assert not (await order(world, "apply")).done
    assert not (await order(world, "open", seconds=60.0)).done
    assert world.measured("frozen") == 1
    assert (await order(world, "unfreeze")).done
    assert world.admitted() == {A, B, C}


async def test_a_freeze_is_not_forgotten_by_a_restart(world: World) -> None:
    await order(world, "freeze")
    world.target.current = None
    await world.start().apply_last_known_good()
    assert world.target.current is None


async def test_rolling_back_admits_whom_an_earlier_revision_admitted_and_freezes(
    world: World,
) -> None:
    world.list.say(C)
    await world.sync.run_once()
    assert world.admitted() == {A, B, C}
    revisions = world.sync.keeper.revisions
    answer = await order(world, "rollback", str(revisions[0]))
    assert answer.done, answer
    assert world.admitted() == {A, B}
    await world.sync.run_once()
    assert world.admitted() == {A, B}
    await order(world, "unfreeze")
    assert world.admitted() == {A, B, C}


@pytest.mark.parametrize("revision", ["99", "x", "-1", ""])
async def test_there_is_no_going_back_to_what_nobody_knows(world: World, revision: str) -> None:
    answer = await order(world, "rollback", revision)
    assert not answer.done
    assert "known: 1" in answer.text
    assert not world.sync.orders.frozen


async def test_what_is_held_is_admitted_by_its_name_once(world: World) -> None:
    many = [f"9.9.9.{n}" for n in range(30)]
    world.list.say(*many)
    await world.sync.run_once()
    held = world.sync.snapshot()["held"]
    assert (world.admitted(), len(held["addresses"])) == ({A, B}, 30)
    assert not (await order(world, "accept", "000000000000")).done
    assert (await order(world, "accept", held["plan"])).done
    assert world.admitted() == {A, B, *many}
    assert world.sync.snapshot()["held"] is None
    assert not (await order(world, "accept", held["plan"])).done


async def test_a_plan_is_applied_by_its_name_only_while_it_is_that_plan(world: World) -> None:
    world.target.edit_for_test({ip_address("6.6.6.6"): None})
    (outcome,) = await world.sync.plans()
    assert outcome.plan is not None
    world.target.edit_for_test({ip_address("7.7.7.7"): None})
    assert not (await order(world, "accept", outcome.plan.id)).done
    assert "7.7.7.7" in world.admitted()
    (outcome,) = await world.sync.plans()
    assert outcome.plan is not None
    assert (await order(world, "accept", outcome.plan.id)).done
    assert world.admitted() == {A, B}


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0, 25 * 3600.0])
async def test_nobody_opens_without_an_end_in_sight(world: World, seconds: float | None) -> None:
    assert not (await order(world, "open", seconds=seconds)).done
    assert world.sync.orders.open_left == 0


async def test_what_is_ordered_is_recorded_with_who_did(world: World) -> None:
    await order(world, "freeze", "why")
    record = world.sync.audit.recent()[-1]
    assert (record["kind"], record["order"], record["actor"]) == ("order", "freeze", "ana")


async def test_requests_of_a_folder_are_carried_out_and_answered(
    world: World, tmp_path: Path
) -> None:
    mailbox = Mailbox(tmp_path)
    name = mailbox.post(Request("freeze", world.clock.now()))
    await Operating(world.sync, clock=world.clock).serve(mailbox)
    assert world.sync.orders.frozen
    answer = mailbox.answered(name)
    assert answer is not None
    assert answer.done


async def test_a_target_that_fails_is_the_answer(world: World) -> None:
    world.target.fail_next = "the disk is full"
    answer = await order(world, "apply")
    assert (answer.done, answer.text) == (False, "memory: the disk is full")


async def test_a_port_is_not_said_to_be_closed_while_nothing_may_be_touched(world: World) -> None:
    assert (await order(world, "open", seconds=60.0)).done
    assert (await order(world, "freeze")).done
    assert not (await order(world, "close")).done
    assert world.sync.orders.open_left > 0
    assert (await order(world, "unfreeze")).done
    assert (await order(world, "close")).done


async def test_a_rollback_is_frozen_also_where_a_target_fails(world: World) -> None:
    world.list.say(C)
    await world.sync.run_once()
    world.target.fail_next = "the disk is full"
    answer = await order(world, "rollback", str(world.sync.keeper.revisions[0]))
    assert (answer.done, "the disk is full" in answer.text) == (False, True)
    assert world.sync.orders.frozen
