import asyncio
import itertools
from collections.abc import Iterator

import pytest

from agora_sidecar.agora.budget import FAIR, RECENT, Budget, Priority
from tests.fakes.clock import FakeClock


class Callers:
    """Takers of one budget; `began` has who got a turn, and when by the clock."""

    def __init__(self, per_second: float, clock: FakeClock) -> None:
        self.budget = Budget(per_second, clock=clock)
        self.began: list[tuple[int, float]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._clock = clock

    def come(self, count: int, priority: Priority = Priority.FIRST) -> None:
        first = len(self.tasks)
        for number in range(first, first + count):
            self.tasks.append(asyncio.create_task(self._call(number, priority)))

    async def _call(self, number: int, priority: Priority) -> None:
        await self.budget.take(priority)
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


async def test_the_business_server_goes_before_the_reconciler(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(1)
    await settle()
    callers.come(2, Priority.SECOND)
    callers.come(2, Priority.FIRST)
    await settle()
    await pass_time(clock, 5 * 0.125)
    # who had come up already keeps the turn
    assert callers.order == [0, 1, 3, 4, 2]


async def test_nobody_starves_on_either_side(clock: FakeClock, callers: Callers) -> None:
    callers.come(60, Priority.FIRST)
    callers.come(20, Priority.SECOND)
    await settle()
    await pass_time(clock, 80 * 0.125)
    assert len(callers.order) == 80
    seconds = [place for place, number in enumerate(callers.order) if number >= 60]
    assert max(b - a for a, b in itertools.pairwise(seconds)) <= FAIR
    assert max(callers.order[: 4 * FAIR]) >= 60


async def test_who_gives_up_among_the_second_holds_nobody_up(
    clock: FakeClock, callers: Callers
) -> None:
    callers.come(2)
    callers.come(3, Priority.SECOND)
    await settle()
    callers.tasks[2].cancel()
    callers.tasks[3].cancel()
    await pass_time(clock, 0.5)
    assert callers.order == [0, 1, 4]
    assert callers.budget.state().waiting == 0


async def test_the_state_tells_what_is_left_for_the_second(
    clock: FakeClock, callers: Callers
) -> None:
    assert callers.budget.state().left_per_second == 8.0
    callers.come(40)
    await settle()
    await pass_time(clock, 5.0)
    assert callers.budget.state().left_per_second == 4.0
    callers.come(200)
    await pass_time(clock, 20.0)
    assert callers.budget.state().left_per_second == 8.0 / FAIR
    await pass_time(clock, RECENT + 5)
    assert callers.budget.state().left_per_second == 8.0


async def test_the_state_tells_how_long_the_next_of_the_second_waits(
    clock: FakeClock, callers: Callers
) -> None:
    assert callers.budget.state().wait == 0
    callers.come(3, Priority.SECOND)
    await settle()
    state = callers.budget.state()
    assert (state.waiting, state.wait) == (2, 3 * 0.125)
    callers.come(1, Priority.SECOND)
    await settle()
    at = clock.monotonic()
    while len(callers.began) < 4:
        await pass_time(clock, 0.125)
    assert callers.began[-1][1] - at == state.wait
    callers.budget.hold_off(2.0)
    assert callers.budget.state().wait == 2.0


@pytest.mark.parametrize("priority", Priority)
async def test_ten_thousand_calls_of_fifty_clients_are_spaced_and_none_waits_for_ever(
    clock: FakeClock, priority: Priority
) -> None:
    """A client calls again once it was answered; the clock goes from turn to turn."""
    budget = Budget(8.0, clock=clock)
    began: list[float] = []
    longest = 0.0

    async def client() -> None:
        nonlocal longest
        for _ in range(200):
            came = clock.monotonic()
            await budget.take(priority)
            began.append(clock.monotonic())
            longest = max(longest, clock.monotonic() - came)

    tasks = [asyncio.create_task(client()) for _ in range(50)]
    while len(began) < 10_000:
        for _ in range(4):
            await asyncio.sleep(0)
        clock.advance(0.125)
    await asyncio.gather(*tasks)
    assert all(b - a == 0.125 for a, b in itertools.pairwise(began))
    assert longest <= 50 * 0.125
    assert budget.state().waiting == 0
