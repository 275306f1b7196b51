"""An event loop on which time passes at once: whenever all wait, it is the next timer's moment.

Code of ours and of libraries runs on it unchanged: `asyncio.sleep`, `asyncio.timeout`, locks and
events. There is no I/O on it. What happens is the same in every run.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class StandstillError(Exception):
    """Everybody waits, and for nothing that will ever happen."""


class _Jump(selectors.SelectSelector):
    """Waits for nobody: what would be waited for is added to the loop's time."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StandstillError("everybody waits for what never happens")
        self.passed += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds take no time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Seconds since it was made."""
        return self._jump.passed


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """What `main` returns on a loop of its own; what it left running is cancelled.

    Raises:
        StandstillError: it would never return.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class LoopClock:
    """The loop's time as a `Clock`; `began` is the Unix time of its beginning."""

    def __init__(self, *, began: float = 1_800_000_000.0) -> None:
        self._began = began

    def now(self) -> float:
        """Wall-clock time as Unix seconds."""
        return self._began + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        """Seconds of the loop."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of the loop."""
        await asyncio.sleep(max(0.0, seconds))
