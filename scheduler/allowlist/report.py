"""What the loop tells others: the list, its age, and how each target stands. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.allowlist.addresses import Address, Book
from scheduler.allowlist.plan import Plan
from scheduler.allowlist.targets import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one target stands: what it lacked, and what went wrong."""

    target: str
    plan: Plan | None
    problem: str = ""


def describe(
    book: Book,
    *,
    now: float,
    failed_polls: int,
    also_allow: Mapping[str, Address],
    targets: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One JSON object; times are Unix seconds."""
    good = book.last_good_poll
    return {
        "revision": book.revision,
        "lastGoodPoll": good,
        "ageSeconds": None if good is None else round(max(0.0, now - good), 1),
        "failedPolls": failed_polls,
        "addresses": [
            {
                "address": str(address),
                "state": "active" if entry.active else "retiring",
                "firstSeen": entry.first_seen,
                "lastSeen": entry.last_seen,
                "secondsLeft": entry.grace_left,
            }
            for address, entry in book.entries.items()
        ],
        "alsoAllow": {name: str(address) for name, address in also_allow.items()},
        "targets": list(targets),
    }


def describe_target(
    target: Target, outcome: Outcome | None, counted: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """How one target stands."""
    problem = outcome.problem if outcome else "not applied yet"
    return {
        "name": target.name,
        "form": target.form,
        "inSync": not problem,
        "problem": problem,
        "counted": dict(counted.get(target.name, {})),
    }
