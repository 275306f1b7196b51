"""What all seeds came to, in words and as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.simulation.seed import Result

FAILURES = {
    "wrong ends": "recordings told closed while they ran",
    "wrong stops": "stops that nobody owed",
    "unsettled": "recordings that ended and were never told closed",
    "doubled": "findings told more than once",
    "foreign": "findings of recordings that never were",
    "late": "recordings told closed later than the bound",
    "not stopped": "owed stops carried out later than the bound, or never",
    "over budget": "more calls of a process than its budget, in a second",
    "at once": "calls about one recording at the same time",
    "bugs": "tracebacks and the like",
    "stuck": "seeds that could not be run to their end",
}
EXAMPLES = 3
"""Lines shown of each kind of failure and seed."""


def total(results: Sequence[Result]) -> Counter[str]:
    """What happened, over all seeds."""
    found: Counter[str] = Counter()
    for result in results:
        found.update(result.counts)
    return found


def failures(results: Sequence[Result]) -> dict[str, int]:
    """How many of each kind."""
    return {
        kind: sum(len(result.failures.get(kind, ())) for result in results) for kind in FAILURES
    }


def words(results: Sequence[Result]) -> str:
    """The summary for people."""
    lines = ["", "what happened"]
    lines += [f"  {count:8}  {kind}" for kind, count in total(results).most_common()]
    recordings = sum(result.recordings for result in results)
    closed = sum(result.closed for result in results)
    lines.append(f"recordings: {recordings}, told closed: {closed}")
    lines += _times(results)
    lines += ["failures"]
    lines += [
        f"  {count:8}  {kind:<11}  {FAILURES[kind]}" for kind, count in failures(results).items()
    ]
    bad = [result.seed for result in results if result.failures]
    verdict = f"wrong in seeds {', '.join(map(str, bad))}" if bad else "nothing is wrong"
    return "\n".join([*lines, f"{len(results)} seeds: {verdict}"])


def _times(results: Sequence[Result]) -> list[str]:
    took = sorted(time for result in results for time in result.took) or [0.0]
    worst = max((result.worst for result in results), default=0.0)
    cpu = sorted(result.cpu for result in results)
    hours = sum(result.lasted for result in results) / 3600
    findings = (
        f"from an end to its finding: median {took[len(took) // 2]:.1f} s, "
        f"99 of 100 within {took[len(took) * 99 // 100]:.0f} s, at most {took[-1]:.0f} s; "
        f"at most {100 * worst:.0f} % of the bound"
    )
    cost = (
        f"CPU: {sum(cpu):.0f} s for {hours:.0f} hours in {len(cpu)} seeds; "
        f"of one median {cpu[len(cpu) // 2]:.2f} s, at most {cpu[-1]:.2f} s"
    )
    return [findings, cost]


def failed(result: Result, command: str, timeline: Path | None) -> str:
    """What is wrong with one seed, where to look, and how to see it again."""
    lines = [f"seed {result.seed}: again with  {command}"]
    if timeline is not None:
        lines.append(f"  its timeline: {timeline}")
    for kind, found in result.failures.items():
        lines.append(f"  {kind}: {len(found)}")
        lines += [f"    {line[:300]}" for line in found[:EXAMPLES]]
    return "\n".join(lines)


def write(path: Path, results: Sequence[Result]) -> None:
    """All of it, for machines."""
    whole: dict[str, Any] = {
        "ok": not any(failures(results).values()),
        "failures": failures(results),
        "happened": total(results),
        "seeds": [asdict(result) for result in results],
    }
    path.write_text(json.dumps(whole, indent=1) + "\n")
