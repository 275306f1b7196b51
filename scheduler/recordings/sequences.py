"""The numbers of notifications: which are missing, which came after all. Pure.

`sequence` counts from 0, by sid and perhaps by module; a fail-over has a new uid and may begin
anew. So each (uid, serviceType) of a recording is a lane of its own, the first number that is seen
begins it, and nothing is concluded from what may lie before. Where only some event types are
subscribed, gaps are normal: a gap is a hint and no evidence.
"""

from dataclasses import dataclass, replace

LANES = 12
"""Lanes of one recording: a few modules, three fail-overs. Those that were silent longest go."""
MISSING = 32
"""Missing numbers remembered for each lane; of more only how many they were."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The numbers of one module of one recorder.

    `missing` are those that may still come, `lost` counts all that ever were; `harmless` counts
    gaps that `query` showed to mean nothing.
    """

    uid: str
    service: int
    highest: int
    missing: tuple[int, ...] = ()
    lost: int = 0
    harmless: int = 0

    @property
    def name(self) -> str:
        """The lane in words."""
        return f"uid {self.uid or '?'}, serviceType {self.service}"


Lanes = tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """The lanes after one more number, and what it told.

    `gap` are the first and the last number that were passed over; `healed`: it was missing.
    """

    lanes: Lanes
    lane: Lane
    gap: tuple[int, int] | None = None
    healed: bool = False


def count(lanes: Lanes, *, uid: str, service: int, number: int) -> Counted:
    """The lanes with this number in them; one that was seen before changes nothing."""
    before = next((lane for lane in lanes if (lane.uid, lane.service) == (uid, service)), None)
    if before is None:
        lane = Lane(uid, service, number)
        return Counted((*lanes, lane)[-LANES:], lane)
    lane, gap = before, None
    if number > before.highest:
        lane = replace(before, highest=number)
        if number > before.highest + 1:
            gap = (before.highest + 1, number - 1)
            lane = _with_gap(lane, *gap)
    elif number in before.missing:
        lane = replace(before, missing=tuple(n for n in before.missing if n != number))
    others = tuple(one for one in lanes if one is not before)
    return Counted((*others, lane), lane, gap, healed=number in before.missing)


def gaps_open(lanes: Lanes) -> bool:
    """Whether any number is still missing."""
    return any(lane.missing for lane in lanes)


def dismissed(lanes: Lanes) -> Lanes:
    """The lanes after `query` showed that what is missing means nothing."""
    return tuple(
        replace(lane, harmless=lane.harmless + 1, missing=()) if lane.missing else lane
        for lane in lanes
    )


def _with_gap(lane: Lane, first: int, last: int) -> Lane:
    new = range(max(first, last + 1 - MISSING), last + 1)
    missing = (*lane.missing, *new)[-MISSING:]
    return replace(lane, missing=missing, lost=lane.lost + last - first + 1)
