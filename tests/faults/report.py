"""What all seeds came to, in words and as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FAILURES = {
    "lost": "acknowledged events that are not on the stream",
    "doubled": "events more than once on the stream",
    "foreign": "entries that nobody issued",
    "altered": "entries with bytes that nobody sent",
    "misordered": "events behind a later one, without any fault",
    "answers": "answers other than 200 or 503 to what was signed, 401 to what was not",
    "bugs": "tracebacks and the like in the receiver's log",
    "processes": "processes that died or did not end",
    "slow": "a fresh event took longer than 5 s, or the spool more than 20 s to drain",
    "stuck": "seeds that could not be run to their end",
}
EXAMPLES = 3
"""Lines shown of each kind of failure and seed."""


def total(results: Sequence[dict[str, Any]], kind: str) -> Counter[str]:
    """One of the counts, over all seeds."""
    found: Counter[str] = Counter()
    for result in results:
        found.update(result.get(kind, {}))
    return found


def words(results: Sequence[dict[str, Any]]) -> str:
    """The summary for people."""
    lines = ["", "faults"]
    lines += [f"  {count:6}  {kind}" for kind, count in total(results, "faults").most_common()]
    lines += ["answers"]
    lines += [f"  {count:6}  {kind}" for kind, count in total(results, "answers").most_common()]
    for name in ("issued", "acknowledged", "entries"):
        lines.append(f"{name}: {sum(result.get(name, 0) for result in results)}")
    for name in ("recovered", "drained", "took"):
        times = sorted(result.get(name, 0.0) for result in results)
        lines.append(f"{name}: median {times[len(times) // 2]:.2f} s, at most {times[-1]:.2f} s")
    lines += ["failures"]
    for kind, meaning in FAILURES.items():
        count = sum(len(result["failures"].get(kind, ())) for result in results)
        lines.append(f"  {count:6}  {kind:<10}  {meaning}")
    bad = [result["seed"] for result in results if result["failures"]]
    verdict = f"wrong in seeds {', '.join(map(str, bad))}" if bad else "nothing is wrong"
    return "\n".join([*lines, f"{len(results)} seeds: {verdict}"])


def failed(result: dict[str, Any], folder: Path) -> str:
    """What is wrong with one seed, and where to look."""
    lines = [f"seed {result['seed']} ({result.get('program', '?')}): see {folder}/timeline.txt"]
    for kind, found in result["failures"].items():
        lines.append(f"  {kind}: {len(found)}")
        lines += [f"    {line[:300]}" for line in found[:EXAMPLES]]
    return "\n".join(lines)


def write(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """All of it, for machines."""
    kinds = {
        kind: sum(len(result["failures"].get(kind, ())) for result in results) for kind in FAILURES
    }
    whole = {
        "ok": not any(kinds.values()),
        "failures": kinds,
        "faults": total(results, "faults"),
        "answers": total(results, "answers"),
        "seeds": list(results),
    }
    path.write_text(json.dumps(whole, indent=1) + "\n")
