"""One seed from its plan to its result."""

import time
from dataclasses import dataclass, field, replace

from scheduler.recordings.timings import Timings
from tests.simulation import sabotage as damage
from tests.simulation.loop import StandstillError, run
from tests.simulation.oracle import Verdict, judge
from tests.simulation.scenario import FAULTS, scenario
from tests.simulation.world import simulate

SHOWN = 3
"""Wrong recordings of a kind whose whole story is told."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is the same for all seeds; `sabotage` names a rule of ours that is broken."""

    recordings: int = 200
    lose: float = FAULTS.lose
    sabotage: str = ""


@dataclass(slots=True)
class Result:
    """What became of a seed; `failures` is empty if all is well."""

    seed: int
    cpu: float = 0.0
    lasted: float = 0.0
    recordings: int = 0
    closed: int = 0
    findings: int = 0
    took: list[float] = field(default_factory=list)
    worst: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    timeline: str = ""


def run_seed(seed: int, options: Options) -> Result:
    """Everything of one seed; whatever happens is in the result."""
    began = time.process_time()
    plan = scenario(seed, recordings=options.recordings, faults=replace(FAULTS, lose=options.lose))
    try:
        with damage.done(options.sabotage):
            chronicle = run(simulate(plan))
    except StandstillError as error:
        return Result(seed, failures={"stuck": [str(error)]})
    verdict = judge(chronicle, plan, timings=Timings())
    lines = ["\n".join(plan.lines())]
    for kind, found in verdict.failures.items():
        for sid, how in found[:SHOWN]:
            lines += [f"\n{kind}: {sid} {how}", *(chronicle.story(sid) if sid else ())]
    return Result(
        seed,
        cpu=time.process_time() - began,
        lasted=chronicle.ended,
        recordings=len(chronicle.recordings),
        closed=sum(told.kind == "closed" for told in chronicle.told),
        findings=len(chronicle.told),
        took=verdict.took,
        worst=verdict.worst,
        counts=dict(chronicle.counts),
        failures=_words(verdict),
        timeline="\n".join(lines) if verdict.failures else "",
    )


def _words(verdict: Verdict) -> dict[str, list[str]]:
    return {
        kind: [f"{sid} {how}".strip() for sid, how in found]
        for kind, found in verdict.failures.items()
    }
