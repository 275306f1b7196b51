"""What goes wrong, and when: a seed in, a list of timed faults out (pure).

Faults of one lane (a process, a proxy, a disk) follow one another; those of different lanes overlap
freely. Everything is over before the traffic ends.
"""

from dataclasses import dataclass
from random import Random

FEWEST, MOST = 5, 10
"""Faults a seed."""
LEAD = 0.3
"""Seconds of quiet at the beginning and at the end."""
START = 1.8
"""Seconds that a receiver is mostly given to start and work before the next fault befalls it."""
TRIES = 40
"""Places that are looked at for a fault before it is left out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: what it occupies, how long it lasts (seconds), how often it is chosen."""

    lanes: tuple[str, ...]
    lasts: tuple[float, float]
    weight: int = 2
    long: tuple[float, float] | None = None
    """Taken instead of `lasts` one time in three, where the traffic lasts long enough."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Begins `at` seconds after the traffic, ends `lasts` seconds later; `dice` seeds its chances."""

    at: float
    kind: str
    lasts: float
    dice: int

    def __str__(self) -> str:
        return f"{self.at:5.2f}s … {self.at + self.lasts:5.2f}s  {self.kind}"


KINDS: dict[str, Kind] = {
    "receiver killed": Kind(("receiver",), (0.0, 0.4), 3),
    "receiver terminated": Kind(("receiver",), (0.0, 0.4)),
    # longer than the vendor waits, one time in three
    "receiver stopped": Kind(("receiver",), (0.3, 1.5), long=(3.2, 3.8)),
    "store killed": Kind(("store",), (0.1, 1.5), 3),
    # longer than hedge_after; one time in three longer than ack_deadline
    "store stopped": Kind(("store",), (0.4, 1.5), 3, long=(4.2, 4.8)),
    "both killed": Kind(("receiver", "store"), (0.1, 0.8), 3),
    "scripts flushed": Kind((), (0.0, 0.0), 1),
    "clients killed": Kind((), (0.0, 0.0), 1),
    "store out of memory": Kind(("rule",), (0.4, 1.5)),
    "store read-only": Kind(("rule",), (0.4, 1.5)),
    "store's connections cut": Kind(("store's proxy",), (0.3, 1.2), 3),
    "store's connections hang": Kind(("store's proxy",), (0.4, 1.5), long=(4.2, 4.8)),
    "store's connections slow": Kind(("store's proxy",), (0.4, 1.5)),
    "store refuses connections": Kind(("store's proxy",), (0.3, 1.5)),
    "vendor's connections cut": Kind(("vendor's proxy",), (0.4, 1.5), 3),
    "disk full": Kind(("disk",), (0.8, 2.5)),
}

OUTAGES = ("store killed", "store stopped", "store out of memory", "store refuses connections")
"""A full disk matters only while the store does not take the events."""


def schedule(seed: int, *, seconds: float) -> tuple[Fault, ...]:
    """The faults of this seed, in order; none for seed 0."""
    if seed == 0:
        return ()
    rng = Random(f"faults {seed}")
    plan = _Plan(rng, seconds)
    wanted = rng.randint(FEWEST, MOST)
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    for _ in range(TRIES):
        if len(plan.faults) >= wanted:
            break
        (name,) = rng.choices(names, weights)
        fault = plan.add(name)
        if name == "disk full" and fault is not None:
            plan.add(rng.choice(OUTAGES), near=fault)
    return tuple(sorted(plan.faults))


class _Plan:
    def __init__(self, rng: Random, seconds: float) -> None:
        self._rng = rng
        self._end = seconds - LEAD
        self._busy: dict[str, list[tuple[float, float]]] = {}
        self.faults: list[Fault] = []

    def add(self, name: str, *, near: Fault | None = None) -> Fault | None:
        """The fault at a place that is free, beginning within `near`; None where there is none."""
        lasts = self._lasts(KINDS[name])
        first, last = (near.at, near.at + near.lasts) if near else (LEAD, self._end)
        last = min(last, self._end - lasts)
        for _ in range(TRIES if first <= last else 0):
            at = round(self._rng.uniform(first, last), 2)
            if self._free(name, at, at + lasts):
                return self._put(Fault(at, name, lasts, self._rng.getrandbits(32)))
        return None

    def _lasts(self, kind: Kind) -> float:
        long = kind.long is not None and self._rng.random() < 1 / 3
        if long and kind.long is not None and kind.long[1] + 2 * LEAD <= self._end:
            return round(self._rng.uniform(*kind.long), 2)
        return round(self._rng.uniform(*kind.lasts), 2)

    def _free(self, name: str, begin: float, end: float) -> bool:
        return all(
            end < taken_from or begin > taken_until
            for lane in KINDS[name].lanes
            for taken_from, taken_until in self._busy.get(lane, ())
        )

    def _put(self, fault: Fault) -> Fault:
        for lane in KINDS[fault.kind].lanes:
            # one time in four it may be hit while it starts
            rest = START if lane == "receiver" and self._rng.random() < 3 / 4 else 0.0
            self._busy.setdefault(lane, []).append((fault.at, fault.at + fault.lasts + rest))
        self.faults.append(fault)
        return fault
