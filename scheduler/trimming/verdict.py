"""Is a stream within its limits after it was trimmed, and if not, who holds it? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from agora_sidecar.keys import GROUP

NODE = 100
"""Entries of a node by default (`stream-node-max-entries`); the store trims whole nodes only."""
AGE_SLACK = 60.0
"""Seconds, one interval of the job: a group just at the limit is not reported in turns."""
BACKLOG = "backlog"
"""Nobody holds the stream: a run trims less than there is to trim."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stream should not exceed: `retention` in seconds, `max_entries` in entries."""

    retention: float
    max_entries: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A group and the first entry that it still needs.

    `why` is `missing` (no such group), `ahead` (it stands beyond the stream's last id), `pending`
    (delivered, not acknowledged) or `undelivered`. `behind` counts entries, None if unknown.
    """

    group: str
    why: str
    first: str
    behind: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """A stream after one round of trimming, at `now_ms` of the store's own clock.

    `node` estimates how many entries the stream's largest node has.
    `oldest` is empty where the stream is, or where there is none; then nobody holds anything.
    """

    now_ms: int
    evicted: int
    entries: int
    node: int
    oldest: str
    holds: tuple[Hold, ...]

    def age(self, stream_id: str) -> float:
        """Seconds since this entry was appended; 0 for none, and for one of the future."""
        return max(0, self.now_ms - int(stream_id.partition("-")[0])) / 1000 if stream_id else 0.0

    def missing(self) -> frozenset[str]:
        """Groups that should be there and are not."""
        return frozenset(hold.group for hold in self.holds if hold.why == "missing")


@dataclass(frozen=True, slots=True)
class Over:
    """A stream above its limits; `group` holds it back (empty: nobody does)."""

    group: str
    why: str
    first_needed: str
    behind_seconds: float
    behind: int | None
    cure: str


def judge(facts: Facts, limits: Limits) -> Over | None:
    """Who keeps the stream above its limits, or None if it is within them.

    A held entry counts as too old by itself; that the store keeps the rest of its node is usual.
    """
    hold = _lowest(facts.holds)
    too_many = facts.entries - limits.max_entries > max(NODE, facts.node)
    too_old = hold is not None and facts.age(hold.first) > limits.retention + AGE_SLACK
    if not too_many and not too_old:
        return None
    if hold is None or (facts.evicted and not too_old):
        return Over("", BACKLOG, "", 0.0, None, _CURES[BACKLOG])
    return Over(hold.group, hold.why, hold.first, facts.age(hold.first), hold.behind, _cure(hold))


def _lowest(holds: Iterable[Hold]) -> Hold | None:
    return min(holds, key=lambda hold: tuple(map(int, hold.first.split("-"))), default=None)


def _cure(hold: Hold) -> str:
    return _CURES["own" if hold.group == GROUP else hold.why]


_CURES = {
    "own": "the scheduler does not take entries in: look for recording.intake_interrupted",
    "missing": "create it (XGROUP CREATE), or take it out of stream.protect_groups",
    "ahead": "its position is of another stream: XGROUP SETID to 0 gives it what is there",
    "pending": "XPENDING shows whose it is: XACK it, or XAUTOCLAIM it from a consumer that is gone",
    "undelivered": "start or add consumers of this group, or take it out of stream.protect_groups",
    BACKLOG: "nothing now, the next runs go on; if it stays, more comes in than a run trims",
}
