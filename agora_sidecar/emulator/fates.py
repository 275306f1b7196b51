"""What the dice decide: about a notice, an API call, a recording (pure).

Every die is thrown, so that no fault shifts another one.
"""

import math
from dataclasses import dataclass
from random import Random

from agora_sidecar.agora.recordings import WEB
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.deaths import DEATHS, RTC_DEATHS, WEB_DEATHS
from agora_sidecar.emulator.studio.plan import ENDINGS, Luck

OVERTAKEN_WITHIN = 10.0
"""Seconds for which a reordered notice is held back, at most."""
AGAIN_WITHIN = 30.0
"""Seconds after which an acknowledged notice is sent once more, at most."""
UPLOAD_TAKES = 3.0
SLOW_UPLOAD = (25.0, 90.0)
"""Seconds of an upload that takes longer than a stop waits (20 s)."""
FAULT_WITHIN = (10.0, 600.0)
"""Seconds from the start in which the worker of an unlucky recording is lost."""
ADRIFT = (30.0, 90.0)
"""Seconds until another worker goes on; Docs-Source `integration-best-practices.md`."""
NEW_UIDS = range(4_000_000_000, 2**32)


@dataclass(frozen=True, slots=True)
class Fate:
    """One notice's way; `hold` and `again` in the vendor's seconds, None: does not happen."""

    lost: bool
    hold: float | None
    again: float | None
    redundant: bool
    top_level_sid: bool


def decide(faults: Faults, roll: Random, *, muted: bool) -> Fate:
    """The fate of a notice."""
    lose, duplicate, reorder, delay, top_level = (roll.random() for _ in range(5))
    hold_for, late_by, again_after, redundant = (roll.random() for _ in range(4))
    hold = OVERTAKEN_WITHIN * hold_for if reorder < faults.reorder else None
    if delay < faults.delay:
        hold = (hold or 0.0) + faults.delay_seconds * late_by
    return Fate(
        lost=muted or lose < faults.lose,
        hold=hold,
        again=AGAIN_WITHIN * again_after if duplicate < faults.duplicate else None,
        redundant=redundant < faults.redundant,
        top_level_sid=top_level < 0.5,
    )


@dataclass(frozen=True, slots=True)
class CallFate:
    """What happens to one API call; `which` of the endpoint's failures, from 0 to 1.

    An incomplete one is `done` all the same, or not.
    """

    throttled: bool
    slow: bool
    cut: bool
    cut_late: bool
    failed: bool
    which: float
    incomplete: bool
    done: bool


def decide_call(faults: Faults, roll: Random) -> CallFate:
    """The fate of an API call."""
    fail, slow, throttle, cut, cut_late = (roll.random() for _ in range(5))
    incomplete, which, done = (roll.random() for _ in range(3))
    return CallFate(
        throttled=throttle < faults.throttle,
        slow=slow < faults.slow,
        cut=cut < faults.cut,
        cut_late=cut_late < faults.cut_late,
        failed=fail < faults.fail,
        which=which,
        incomplete=incomplete < faults.incomplete,
        done=done < 0.5,
    )


def luck(faults: Faults, roll: Random, *, mode: str, death: str = "") -> Luck:
    """What is in store for a recording; `death` is one that its order brings with it."""
    backup, slow_upload, die, failover = (roll.random() for _ in range(4))
    upload, ending = roll.uniform(*SLOW_UPLOAD), roll.choice(ENDINGS)
    by_chance = roll.choice(WEB_DEATHS if mode == WEB else RTC_DEATHS)
    fault_at, adrift = roll.uniform(*FAULT_WITHIN), roll.uniform(*ADRIFT)
    new_uids = (roll.choice(NEW_UIDS), roll.choice(NEW_UIDS), roll.choice(NEW_UIDS))
    death = death or (by_chance if die < faults.die else "")
    return Luck(
        backup=backup < faults.backup,
        upload_takes=upload if slow_upload < faults.slow_upload else UPLOAD_TAKES,
        ending=ending,
        death=death,
        dies_at=DEATHS[death].after if death else math.inf,
        faults_at=(fault_at,) if failover < faults.failover else (),
        adrift=adrift,
        new_uids=new_uids,
    )
