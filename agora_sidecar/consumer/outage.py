"""A store that is away: waited for with growing pauses, told once when it goes and comes."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError

_T = TypeVar("_T")

INCURABLE = frozenset({"noauth", "noperm", "wrongtype"})
"""Kinds of `StoreError` that no waiting heals: somebody must change something."""
FIRST_PAUSE = 0.1
"""Seconds before the second attempt; each further pause is twice as long."""
LONGEST_PAUSE = 5.0
"""Seconds; no pause is longer."""


def pause(attempts: int) -> float:
    """Seconds to wait after so many failures in a row, the first being 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(max(attempts, 1) - 1, 16))


class Outage:
    """Tries again until the store answers; several askers share one, and it is told once.

    `away` is called with the error that began it, `back` with the seconds it lasted.
    """

    def __init__(
        self, clock: Clock, *, away: Callable[[StoreError], None], back: Callable[[float], None]
    ) -> None:
        self._clock = clock
        self._away = away
        self._back = back
        self._failing: set[object] = set()
        self._told = False
        self._since = 0.0

    async def through(self, action: Callable[[], Awaitable[_T]]) -> _T:
        """What the action gives, however often it must be tried; it must bear being repeated.

        Raises:
            StoreError: one that waiting does not heal.
        """
        asker = object()
        attempts = 0
        try:
            while True:
                try:
                    found = await action()
                except StoreError as error:
                    if error.kind in INCURABLE:
                        raise
                    self._note(asker, error)
                else:
                    self._answered(asker)
                    return found
                attempts += 1
                await self._clock.sleep(pause(attempts))
        finally:
            self._failing.discard(asker)

    def _note(self, asker: object, error: StoreError) -> None:
        if not self._told:
            self._told = True
            self._since = self._clock.monotonic()
            self._away(error)
        self._failing.add(asker)

    def _answered(self, asker: object) -> None:
        self._failing.discard(asker)
        if self._told and not self._failing:
            self._told = False
            self._back(self._clock.monotonic() - self._since)
