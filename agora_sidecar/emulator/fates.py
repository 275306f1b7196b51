"""What the dice decide about one notice before it is sent (pure)."""

from dataclasses import dataclass
from random import Random

from agora_sidecar.emulator.faults import Faults

OVERTAKEN_WITHIN = 10.0
"""Seconds for which a reordered notice is held back, at most."""
AGAIN_WITHIN = 30.0
"""Seconds after which an acknowledged notice is sent once more, at most."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One notice's way; `hold` and `again` in the vendor's seconds, None: does not happen."""

    lost: bool
    hold: float | None
    again: float | None
    top_level_sid: bool


def decide(faults: Faults, roll: Random, *, muted: bool) -> Fate:
    """The fate of a notice; every die is thrown, so that no fault shifts another one."""
    lose, duplicate, reorder, delay, top_level = (roll.random() for _ in range(5))
    hold_for, late_by, again_after = (roll.random() for _ in range(3))
    hold = OVERTAKEN_WITHIN * hold_for if reorder < faults.reorder else None
    if delay < faults.delay:
        hold = (hold or 0.0) + faults.delay_seconds * late_by
    return Fate(
        lost=muted or lose < faults.lose,
        hold=hold,
        again=AGAIN_WITHIN * again_after if duplicate < faults.duplicate else None,
        top_level_sid=top_level < 0.5,
    )
