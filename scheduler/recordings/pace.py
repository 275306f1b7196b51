"""How often recordings are really asked about, and how soon an end is found out. Pure.

One budget serves everything, the business server first. When more is due than it allows, the oldest
due is asked first, so the interval stretches for all alike: by the lag.
"""

from dataclasses import dataclass

from scheduler.recordings.timings import Timings

LEAST_RATE = 0.1
"""Calls a second that are reckoned with at the least: nobody starves."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`lag`: seconds by which questions are late, or will be for what is due now."""

    lag: float = 0.0
    wave: bool = False

    def interval(self, timings: Timings) -> float:
        """The longest time between two questions about a silent recording."""
        return timings.silence * (1 + timings.jitter) + self.lag

    def bound(self, timings: Timings) -> float:
        """Seconds from an end of which no event tells to its `closed` entry.

        While the vendor answers: the silence, then 404 for as long as it must last; both questions
        wait for their turn. One answer that says nothing costs one interval more.
        """
        patience = timings.wave_patience if self.wave else timings.end_after_404
        unlucky = timings.ask_again[-1]
        return self.interval(timings) + patience + self.lag + unlucky + 2 * timings.poll


def lag(*, oldest_due: float | None, behind: int, now: float, rate: float) -> float:
    """How late questions are: the oldest due one, or what is due divided by calls a second."""
    late = max(0.0, now - oldest_due) if oldest_due is not None else 0.0
    return max(late, behind / max(rate, LEAST_RATE)) if late else 0.0
