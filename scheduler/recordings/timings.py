"""How long to wait for what, in seconds; one value, so that tests and the demo can run fast."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Timings:
    """Waiting times in seconds; the defaults are for the vendor's real pace.

    `silence`: no event for this long: ask (the vendor advises every 2 minutes). `confirm_after`:
    first question after the sid, and `confirm_again` the next ones (integration-best-practices.md).
    `end_after_404`: how long a 404 must last (the vendor's fail-over takes up to 90 s), and
    `wave_patience` if others are 404s as well; `same_time`: how far apart answers about two
    recordings may be to say something about each other. `upload_wait`: how long to wait for
    31/32 after the end (OAS-zh stop: normally within 20 minutes), `upload_limit`: when an upload
    that goes on is overdue, and `upload_again` the longest interval between questions about it.
    `ask_again`, `stop_again`: growing intervals, the last one repeated. `gap_patience`: how long a
    missing notification may be late. `idle_time`: `maxIdleTime` where nobody gave it. `keep`: life
    of a closed recording in the ledger. `poll`: how often to look for what became due. `jitter`:
    part by which `silence` varies.
    """

    silence: float = 120.0
    confirm_after: float = 5.0
    end_after_404: float = 100.0
    upload_wait: float = 1200.0
    upload_limit: float = 86_400.0
    upload_again: float = 3600.0
    gap_patience: float = 10.0
    idle_time: float = 30.0
    same_time: float = 10.0
    wave_patience: float = 900.0
    confirm_again: tuple[float, ...] = (5.0, 10.0, 15.0)
    ask_again: tuple[float, ...] = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
    stop_again: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0, 300.0)
    keep: float = 604_800.0
    poll: float = 1.0
    jitter: float = 0.1

    def faster(self, speed: float) -> "Timings":
        """The same rules at `speed` times the pace; what is not ours to pace stays as it is."""
        scaled: dict[str, Any] = {
            field.name: _divided(getattr(self, field.name), speed)
            for field in fields(self)
            if field.name not in {"keep", "jitter", "idle_time"}
        }
        return replace(self, **scaled)

    def quiet_for(self, sid: str) -> float:
        """`silence` of one recording: always the same for it, spread over the recordings."""
        spread = (crc32(sid.encode()) % 1000) / 500 - 1
        return self.silence * (1 + self.jitter * spread)


def step(intervals: Sequence[float], tries: int) -> float:
    """The interval after so many tries (1 for the first); the last one repeats."""
    return intervals[min(max(tries, 1), len(intervals)) - 1]


def _divided(value: float | tuple[float, ...], speed: float) -> float | tuple[float, ...]:
    return tuple(v / speed for v in value) if isinstance(value, tuple) else value / speed
