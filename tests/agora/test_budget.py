import asyncio
from collections.abc import Iterator

import pytest

from agora_sidecar.agora.budget import Budget
from tests.fakes.clock import FakeClock


class Callers:
    """Takers of one budget; `began` has who got a turn, and when by the clock."""

    def __init__(self, per_second: float, clock: FakeClock) -> None:
        self.budget = Budget(per_second, clock=clock)
        self.began: list[tuple[int, float]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._clock = clock

    def come(self, count: int) -> None:
        first = len(self.tasks)
        for number in range(first, first + count):
            self.tasks.append(asyncio.create_task(self._call(number)))

    async def _call(self, number: int) -> None:
        await self.budget.take()
        self.began.append((number, self._clock.monotonic()))

    @property
    def order(self) -> list[int]:
        return [number for number, _ in self.began]


@pytest.fixture
def callers(clock: FakeClock) -> Iterator[Callers]:
    callers = Callers(8.0, clock)  # turns of 0.125 s: exact in binary
    yield callers
    for task in callers.tasks:
        task.cancel()


async def settle() -> None:
    """Let every task go on as far as it can without the clock."""
    for _ in range(10):
        await asyncio.sleep(0)


async def pass_time(clock: FakeClock, seconds: float, *, step: float = 0.125) -> None:
    for _ in range(round(seconds / step)):
        clock.advance(step)
        await settle()


async def test_the_first_call_begins_at_once_and_the_second_a_turn_later(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(2)
    await settle()
    assert callers.order == [0]
    await pass_time(clock, 0.125)
    assert callers.order == [0, 1]


async def test_fifty_callers_come_one_after_the_other_and_never_more_in_a_second(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(50)
    await settle()
    await pass_time(clock, 49 * 0.125)
    assert callers.order == list(range(50))
    times = [at for _, at in callers.began]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) == 8
    assert times[-1] - times[0] == 49 * 0.125


async def test_ten_a_second_are_ten_a_second(clock: FakeClock) -> None:
    callers = Callers(10.0, clock)
    callers.come(30)
    await settle()
    await pass_time(clock, 1.0, step=1 / 1024)
    assert 9 <= len(callers.began) <= 10
    for task in callers.tasks:
        task.cancel()


async def test_a_pause_saves_nothing_up(clock: FakeClock, callers: Callers) -> None:
    clock.advance(3600)
    callers.come(20)
    await settle()
    assert callers.order == [0]


async def test_after_a_stall_there_is_nothing_to_catch_up(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(20)
    await settle()
    clock.advance(10)
    await settle()
    assert callers.order == [0, 1]
    await pass_time(clock, 0.125)
    assert callers.order == [0, 1, 2]


async def test_who_gives_up_waiting_holds_nobody_else_up(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(5)
    await settle()
    callers.tasks[1].cancel()  # whose turn is next
    callers.tasks[3].cancel()  # who stands behind
    await settle()
    await pass_time(clock, 0.25)
    assert callers.order == [0, 2, 4]
    assert callers.tasks[1].cancelled() and callers.tasks[3].cancelled()


async def test_whoever_comes_later_waits_behind_those_who_wait(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(3)
    await settle()
    clock.advance(0.125)
    callers.come(1)
    await settle()
    await pass_time(clock, 0.25)
    assert callers.order == [0, 1, 2, 3]


async def test_holding_off_makes_those_wait_who_wait_already(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(3)
    await settle()
    callers.budget.hold_off(1.0)
    await pass_time(clock, 0.875)
    assert callers.order == [0]
    await pass_time(clock, 0.25)
    assert callers.order == [0, 1, 2]


async def test_holding_off_twice_does_not_add_up(clock: FakeClock, callers: Callers) -> None:
    callers.budget.hold_off(1.0)
    callers.budget.hold_off(0.5)
    callers.come(1)
    await settle()
    await pass_time(clock, 0.875)
    assert callers.order == []
    await pass_time(clock, 0.125)
    assert callers.order == [0]
