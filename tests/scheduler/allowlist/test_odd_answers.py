"""An odd answer and what follows it, through the loop: held, believed, alarmed."""

from ipaddress import ip_address
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fakes.syncs import World

A = "8.8.8.1"
MANY = [f"9.9.9.{n}" for n in range(20)]


@pytest.fixture
async def world(tmp_path: Path) -> World:
    found = World(tmp_path, A, max_entries=32)
    await found.sync.run_once()
    return found


async def test_a_list_that_explodes_waits_and_is_asked_for_again_soon(world: World) -> None:
    world.list.say(*MANY)
    with capture_logs() as logs:
        again = await world.sync.run_once()
    assert again == 15.0
    assert world.admitted() == {A}
    held = [entry for entry in logs if entry["event"] == "allowlist.held"]
    assert held[0]["addresses"] == MANY
    assert world.measured("held_entries") == 20
    assert world.sync.audit.recent()[-1]["held"] == held[0]["plan"]


async def test_another_host_that_says_the_same_is_asked_and_believed(world: World) -> None:
    world.list.hosts = ("one", "two")
    world.list.say(*MANY)
    await world.sync.run_once()
    assert world.admitted() == {A}
    await world.sync.run_once()
    assert world.admitted() == {A, *MANY}
    assert world.measured("held_entries") == 0


async def test_what_is_held_outlives_a_restart(world: World) -> None:
    world.list.hosts = ("one", "two")
    world.list.say(*MANY)
    await world.sync.run_once()
    before = world.sync.snapshot()["held"]
    world.start()
    assert world.sync.snapshot()["held"] == before
    await world.sync.run_once()
    assert world.admitted() == {A, *MANY}


async def test_nobody_retires_by_an_answer_of_which_some_waits(world: World) -> None:
    for turn in range(6):
        world.list.say(*[f"9.9.{turn}.{n}" for n in range(20)])
        await world.sync.run_once()
    (item,) = world.sync.snapshot()["addresses"]
    assert (item["address"], item["state"], item["absences"]) == (A, "active", 0)


async def test_a_list_that_never_stands_still_waits(world: World) -> None:
    for turn in range(3):
        world.list.say(f"9.9.{turn}.1")
        await world.sync.run_once()
    assert len(world.admitted()) == 4
    world.list.say("9.9.77.1")
    await world.sync.run_once()
    assert "9.9.77.1" not in world.admitted()
    assert "flapping" in world.sync.snapshot()["held"]["why"]


async def test_the_age_of_the_list_is_an_alarm_that_grows_and_ends(world: World) -> None:
    world.list.fail()
    levels = []
    with capture_logs() as logs:
        for hours in (1.0, 2.5, 9.0, 12.0):
            world.clock.advance(hours * 3600)
            await world.sync.run_once()
            levels.append(world.measured("age_alarm"))
        assert world.sync.snapshot()["alarm"] == "critical"
        world.list.say(A)
        await world.sync.run_once()
    assert levels == [0, 1, 2, 3]
    said = [entry["level"] for entry in logs if entry["event"] == "allowlist.list_old"]
    assert said == ["late", "stale", "critical"]
    assert "allowlist.list_fresh" in [entry["event"] for entry in logs]
    assert world.measured("age_alarm") == 0
    assert world.admitted() == {A}


async def test_before_the_first_poll_no_list_is_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.list.fail()
    assert world.sync.watch_age() == ""
    await world.sync.run_once()
    assert world.sync.watch_age() == "critical"


async def test_a_rotation_is_counted_and_its_blind_time_known(world: World) -> None:
    world.sync.sightings.came(ip_address("9.9.9.1"), packets=1)
    world.clock.advance(2.5)
    world.list.say("9.9.9.1")
    await world.sync.run_once()
    shown = world.sync.snapshot()
    assert shown["rotations"] == 1
    assert [(b["address"], b["seconds"]) for b in shown["blindTimes"]] == [("9.9.9.1", 2.5)]
    assert world.measured("blind_seconds_count") == 1


async def test_several_causes_of_one_poll_are_all_named(world: World) -> None:
    world.sync.ask("knock")
    world.sync.ask("hint")
    await world.sync.run_once()
    assert world.sync.audit.recent()[-1]["cause"] == "knock+hint"
