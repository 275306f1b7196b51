import asyncio
import time

from agora_sidecar.process.clock import Clock, SystemClock
from tests.fakes.clock import FakeClock


def test_both_clocks_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), FakeClock()]

    assert all(clock.now() > 1_600_000_000 for clock in clocks)


def test_the_systems_clock_tells_the_time_of_this_machine() -> None:
    before, clock = time.time(), SystemClock()

    assert before <= clock.now() <= time.time()
    assert clock.monotonic() <= clock.monotonic()


async def test_the_systems_clock_waits_and_not_at_all_for_what_is_past() -> None:
    clock = SystemClock()
    start = clock.monotonic()
    await clock.sleep(0.02)
    waited = clock.monotonic() - start
    await asyncio.wait_for(clock.sleep(-5), 1)

    assert waited >= 0.019


async def test_a_fake_clock_wakes_who_is_due_and_nobody_else() -> None:
    clock = FakeClock()
    short, long = (asyncio.ensure_future(clock.sleep(seconds)) for seconds in (5, 10))
    await asyncio.sleep(0)
    clock.advance(5)
    await asyncio.wait_for(short, 1)

    assert not long.done()

    clock.advance(5)
    await asyncio.wait_for(long, 1)
    assert clock.slept == [5, 10]


def test_a_fake_clocks_wall_can_jump_without_time_passing() -> None:
    clock = FakeClock()
    wall, monotonic = clock.now(), clock.monotonic()
    clock.jump_for_test(-3600)

    assert clock.now() == wall - 3600
    assert clock.monotonic() == monotonic
