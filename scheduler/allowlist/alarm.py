"""How old the list is, as a word. Pure: it is an alarm, never a reason to stop enforcing."""

from collections.abc import Mapping
from types import MappingProxyType

LATE, STALE, CRITICAL = 3600.0, 12 * 3600.0, 24 * 3600.0
"""Seconds since the last good poll."""
MISSED = 1.5
"""Intervals after which a poll was missed: the first threshold is never below."""
LEVELS: Mapping[str, int] = MappingProxyType({"": 0, "late": 1, "stale": 2, "critical": 3})
"""Each word as a number that grows."""


def alarm(age: float | None, *, interval: float) -> str:
    """late, stale, critical or nothing; `age` is None where no good poll is known."""
    if age is None or age > CRITICAL:
        return "critical"
    if age > STALE:
        return "stale"
    return "late" if age > max(LATE, MISSED * interval) else ""
