"""One budget of calls for one account: a token bucket on a clock that can be injected.

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
            now = self._clock.monotonic()
            # calls begin evenly spaced: a burst after a pause could meet the tail of the last one
            if self._next > now:
                await self._clock.sleep(self._next - now)
            self._next = max(self._next, now) + self._interval
