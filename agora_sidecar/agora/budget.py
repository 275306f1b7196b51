"""One budget of calls for one account: evenly spaced turns on a clock that can be injected.

Docs-Source `integration-best-practices.md`: 10 requests a second; more are answered 429.
"""

import asyncio

from agora_sidecar.process.clock import Clock


class Budget:
    """Lets at most `per_second` calls begin in any second, first come, first served."""

    def __init__(self, per_second: float, *, clock: Clock) -> None:
        self._interval = 1.0 / per_second
        self._clock = clock
        self._next = clock.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a turn."""
        async with self._turn:
            # calls begin evenly spaced: a burst after a pause could meet the tail of the last one
            while (now := self._clock.monotonic()) < self._next:
                await self._clock.sleep(self._next - now)
            # from now, not from when the turn was due: after a stall there is nothing to catch up
            self._next = now + self._interval

    def hold_off(self, seconds: float) -> None:
        """Let no call begin for so long: the vendor said that there were too many."""
        self._next = max(self._next, self._clock.monotonic() + seconds)
