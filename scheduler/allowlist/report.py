"""What the loop tells others: the list, its age, and how each target stands. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.allowlist.addresses import Address, Book, Held
from scheduler.allowlist.plan import Plan
from scheduler.allowlist.targets import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one target stood at a time: what it lacked, and what went wrong."""

    target: str
    plan: Plan | None
    problem: str = ""
    at: float = 0.0


def describe(
    book: Book,
    *,
    now: float,
    failed_polls: int,
    also_allow: Mapping[str, Address],
    packets: Mapping[Address, int],
    targets: Sequence[Target],
    outcomes: Mapping[str, Outcome],
    counted: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """One JSON object; times are Unix seconds."""
    good = book.last_good_poll
    return {
        "revision": book.revision,
        "lastGoodPoll": good,
        "ageSeconds": None if good is None else round(max(0.0, now - good), 1),
        "failedPolls": failed_polls,
        "held": _held(book.held),
        "addresses": [
            {
                "address": str(address),
                "state": "active" if entry.active else "retiring",
                "firstSeen": entry.first_seen,
                "lastSeen": entry.last_seen,
                "absences": entry.absences,
                "secondsLeft": entry.grace_left,
                "packets": packets.get(address),
            }
            for address, entry in book.entries.items()
        ],
        "alsoAllow": {name: str(address) for name, address in also_allow.items()},
        "targets": [
            describe_target(target, outcomes.get(target.name), counted.get(target.name, {}))
            for target in targets
        ],
    }


def describe_target(
    target: Target, outcome: Outcome | None, counted: Mapping[str, int]
) -> dict[str, Any]:
    """How one target stands."""
    problem = outcome.problem if outcome else "not applied yet"
    change = outcome.plan if outcome else None
    return {
        "name": target.name,
        "form": target.form,
        "shared": target.shared,
        "inSync": not problem,
        "problem": problem,
        "checkedAt": outcome.at if outcome else None,
        "lastPlan": None if change is None or change.empty else change.id,
        "counted": dict(counted),
    }


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {
        "plan": held.id,
        "why": held.why,
        "addresses": [str(address) for address in held.addresses],
        "since": held.since,
        "answers": held.answers,
    }
