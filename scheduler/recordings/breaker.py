"""At most so many stops in an hour: if more seem to be owed, rather something is wrong. Pure."""

from collections import deque

HOUR = 3600.0


class Breaker:
    """Counts calls of `stop`; open (no more of them) while the last hour holds `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._calls: deque[float] = deque()

    def note(self, at: float) -> None:
        """`stop` is called."""
        self._calls.append(at)

    def is_open(self, now: float) -> bool:
        """Whether no further stop is allowed now."""
        return self.closes_at(now) is not None

    def closes_at(self, now: float) -> float | None:
        """When the next stop is allowed; None: now."""
        while self._calls and self._calls[0] <= now - HOUR:
            self._calls.popleft()
        return None if len(self._calls) < self.limit else self._calls[0] + HOUR

    def used(self, now: float) -> int:
        """Stops in the last hour."""
        self.closes_at(now)
        return len(self._calls)
