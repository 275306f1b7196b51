"""What happens in a seed: the recordings, and what goes wrong (pure). A seed in, a plan out."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX, WEB
from agora_sidecar.emulator.faults import Faults

STARTS = 900.0
"""Seconds within which recordings are started."""
TROUBLE = 1500.0
"""Seconds within which things go wrong; afterwards all is well until everything is settled."""
FEWEST, MOST = 5, 10
"""Disturbances a seed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of disturbance: how long it lasts (seconds), how often it is chosen.

    Disturbances of one lane follow one another; those of different lanes overlap freely.
    """

    lane: str
    lasts: tuple[float, float]
    weight: int = 2
    rest: float = 0.0
    """Seconds before and after it without another of its lane."""
    begins: tuple[float, float] | None = None
    """Seconds of the seed between which it begins, where not any time will do."""


KINDS: dict[str, Kind] = {
    # the vendor's API, on every host: what it answers to whatever is asked
    # as long as a fail-over may take: alone, each is to be borne by every recording
    "vendor finds no task": Kind("vendor", (20, 85), 3, rest=130),
    # longer than any: noticed by what befalls others, so somebody else must be there
    "vendor finds no task for long": Kind("vendor", (120, 500), 2, rest=130, begins=(60, 1000)),
    "vendor fails": Kind("vendor", (30, 400), 3),
    "vendor answers too late": Kind("vendor", (30, 200)),
    "vendor does not complete": Kind("vendor", (30, 200)),
    "vendor says too fast": Kind("vendor", (10, 120)),
    "vendor is replaced by a page": Kind("vendor", (30, 300)),
    "answers are cut off": Kind("vendor", (30, 200)),
    "first host is gone": Kind("hosts", (60, 600)),
    # what stands around our process
    "store is away": Kind("store", (1, 60)),
    "receiver is away": Kind("receiver", (10, 120)),
    # our process: the moment is some call or wait of it, any
    "scheduler is killed": Kind("scheduler", (0.5, 40), 4),
    "scheduler is stopped and started": Kind("scheduler", (0.5, 20)),
    "scheduler is paused": Kind("scheduler", (1, 14)),
    "scheduler is paused past its lease": Kind("scheduler", (16, 120), 4),
}


@dataclass(frozen=True, slots=True, order=True)
class Disturbance:
    """Begins `at` seconds, lasts so many; `dice` seeds its own chances."""

    at: float
    kind: str
    lasts: float
    dice: int

    @property
    def until(self) -> float:
        """When it is over."""
        return self.at + self.lasts

    def __str__(self) -> str:
        return f"{self.at:7.1f} … {self.until:7.1f}  {self.kind}"


ENDS: dict[str, int] = {
    "asked": 5,  # the business server asks us: a stop is owed
    "stopped": 3,  # it calls the vendor itself, and tells nobody
    "left": 4,  # everybody leaves the channel: the vendor ends it
    "limit": 3,  # longer than its declared maximum: a stop is owed
}
"""How recordings end, and how often."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One recording: when it starts, how long it is wanted, how it ends.

    `known_after` seconds after its start it is registered (None: never). `silent`: nobody ever
    publishes in its channel.
    """

    number: int
    at: float
    life: float
    end: str
    known_after: float | None
    silent: bool
    max_idle: int
    mode: str
    mp4: bool

    @property
    def cname(self) -> str:
        """Its channel."""
        return f"room-{self.number}"

    @property
    def uid(self) -> str:
        """Its recorder."""
        return str(900_000 + self.number)

    @property
    def max_duration(self) -> float | None:
        """As it is declared."""
        return self.life if self.end == "limit" else None


FAULTS = Faults(
    lose=0.3,
    duplicate=0.1,
    reorder=0.15,
    delay=0.1,
    backup=0.1,
    slow_upload=0.1,
    die=0.06,
    failover=0.12,
    playload=0.5,
)
"""What befalls notices and recordings by themselves; calls fail by disturbances."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that will happen in a seed."""

    seed: int
    schedulers: int
    recordings: tuple[Planned, ...]
    disturbances: tuple[Disturbance, ...]
    faults: Faults = FAULTS

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{len(self.recordings)} recordings, {self.schedulers} schedulers, {self.faults.lose:.0%} of the notices lost"
        yield from map(str, self.disturbances)


def scenario(seed: int, *, recordings: int = 200, faults: Faults = FAULTS) -> Scenario:
    """The plan of a seed; nothing goes wrong in seed 0 but the losses."""
    rng = Random(f"simulation {seed}")
    planned = tuple(sorted((_planned(rng, n) for n in range(recordings)), key=lambda p: p.at))
    return Scenario(
        seed=seed,
        schedulers=rng.choice((1, 2, 2)) if seed else 1,
        recordings=planned,
        disturbances=_disturbances(rng) if seed else (),
        faults=faults,
    )


def _planned(rng: Random, number: int) -> Planned:
    mode = rng.choice((MIX, MIX, INDIVIDUAL, WEB))
    ends = {name: weight for name, weight in ENDS.items() if mode != WEB or name != "left"}
    (end,) = rng.choices(list(ends), list(ends.values()))
    known = rng.random()
    known_after = rng.uniform(0.05, 2.0) if known < 0.85 else rng.uniform(20, 120)
    return Planned(
        number=number,
        at=rng.uniform(0, STARTS),
        # some are over before anybody has asked
        life=rng.uniform(2, 60) if rng.random() < 0.1 else rng.uniform(60, 900),
        end=end,
        known_after=None if known > 0.96 else known_after,
        silent=rng.random() < 0.06,
        max_idle=rng.choice((30, 60, 300)),
        mode=mode,
        mp4=rng.random() < 0.3,
    )


def _disturbances(rng: Random) -> tuple[Disturbance, ...]:
    busy: dict[str, list[tuple[float, float]]] = {}
    found: list[Disturbance] = []
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    for name in rng.choices(names, weights, k=rng.randint(FEWEST, MOST)):
        kind = KINDS[name]
        lasts = rng.uniform(*kind.lasts)
        at = rng.uniform(*(kind.begins or (5, TROUBLE - lasts)))
        taken = busy.setdefault(kind.lane, [])
        first, last = at - kind.rest, at + lasts + kind.rest
        if all(last < begin or first > end for begin, end in taken):
            taken.append((first, last))
            found.append(Disturbance(at, name, lasts, rng.getrandbits(32)))
    return tuple(sorted(found))
