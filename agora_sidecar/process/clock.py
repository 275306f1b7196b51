"""Time as an argument: what reads a clock or waits gets one of these."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Wall-clock time as Unix seconds; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow; their zero means nothing."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, at once for zero or less."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Wall-clock time as Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(max(0.0, seconds))
