"""One budget of calls for one account: evenly spaced turns on a clock that can be injected.

Docs-Source `integration-best-practices.md`: 10 requests a second; more are answered 429.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from agora_sidecar.process.clock import Clock

FAIR = 4
"""Of so many turns one is for whoever waits second: nobody starves."""
RECENT = 10.0
"""Seconds over which the use of the first is measured."""


class Priority(IntEnum):
    """Whose call it is."""

    FIRST = 0
    """Somebody waits for the answer: the business server, a person."""
    SECOND = 1
    """We ask for ourselves: the reconciler, the address list."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How the budget stands. `left_per_second` is what the second may count on now.

    `wait` is how many seconds a call of the second that came now would wait for its turn.
    """

    per_second: float
    left_per_second: float
    waiting: int
    wait: float


class Budget:
    """Lets at most `per_second` calls begin in any second.

    First come, first served among equals; the first before the second, but one turn of `FAIR`.
    """

    def __init__(self, per_second: float, *, clock: Clock) -> None:
        self._per_second = per_second
        self._interval = 1.0 / per_second
        self._clock = clock
        self._next = clock.monotonic()
        self._queues: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Priority)
        self._taking = False
        self._passed_over = 0
        self._firsts: deque[float] = deque(maxlen=10_000)

    async def take(self, priority: Priority = Priority.FIRST) -> None:
        """Wait for a turn."""
        await self._come_up(priority)
        try:
            # calls begin evenly spaced: a burst after a pause could meet the tail of the last one
            while (now := self._clock.monotonic()) < self._next:
                await self._clock.sleep(self._next - now)
            # from now, not from when the turn was due: after a stall there is nothing to catch up
            self._next = now + self._interval
            if priority is Priority.FIRST:
                self._firsts.append(now)
        finally:
            self._call_next()

    def hold_off(self, seconds: float) -> None:
        """Let no call begin for so long: the vendor said that there were too many."""
        self._next = max(self._next, self._clock.monotonic() + seconds)

    def state(self) -> BudgetState:
        """How it stands now."""
        now = self._clock.monotonic()
        while self._firsts and self._firsts[0] <= now - RECENT:
            self._firsts.popleft()
        waiting = sum(map(len, self._queues)) + self._taking
        left = max(self._per_second - len(self._firsts) / RECENT, self._per_second / FAIR)
        first, second = map(len, self._queues)
        # those of the first that wait go before it, as far as fairness lets them
        ahead = second + min(first, (second + 1) * (FAIR - 1)) + self._taking
        wait = max(0.0, self._next - now) + ahead * self._interval
        return BudgetState(self._per_second, left, waiting, wait)

    async def _come_up(self, priority: Priority) -> None:
        if not self._taking:
            self._taking = True
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues[priority]
        queue.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # called and cancelled at once
                self._call_next()
            elif called in queue:
                queue.remove(called)
            raise

    def _call_next(self) -> None:
        while queue := self._queue_whose_turn_it_is():
            called = queue.popleft()
            if not called.done():
                called.set_result(None)
                return
        self._taking = False

    def _queue_whose_turn_it_is(self) -> deque[asyncio.Future[None]]:
        first, second = self._queues
        if second and (not first or self._passed_over >= FAIR - 1):
            self._passed_over = 0
            return second
        self._passed_over += bool(second)
        return first
