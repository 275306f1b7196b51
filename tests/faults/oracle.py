"""The judge: what was issued and acknowledged against what is on the stream (pure)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Notice:
    """One event: the bodies that were sent of it, and whether one of them was answered 200."""

    notice_id: str
    sid: str
    number: int
    bodies: list[bytes] = field(default_factory=list)
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ids of the entries and notices that are not as they should be."""

    lost: list[str]
    """Acknowledged, but not on the stream."""
    doubled: list[str]
    """More than once on the stream, acknowledged or not."""
    foreign: list[str]
    """On the stream, but never issued."""
    altered: list[str]
    """On the stream with bytes that no attempt had."""
    misordered: list[str]
    """Behind a later event of their recording."""

    @property
    def failures(self) -> dict[str, list[str]]:
        """The kinds of failure and whom they befell; empty if all is well."""
        kinds = ("lost", "doubled", "foreign", "altered", "misordered")
        return {kind: found for kind in kinds if (found := getattr(self, kind))}


def judge(
    issued: Mapping[str, Notice], entries: Sequence[Entry], *, ordered: bool = False
) -> Verdict:
    """Compare the whole stream with all that was issued; `ordered` also asks for order."""
    present = {entry.id for entry in entries}
    return Verdict(
        lost=lost(issued, present),
        doubled=_doubled(entries),
        foreign=[entry.id for entry in entries if entry.id not in issued],
        altered=[
            entry.id
            for entry in entries
            if entry.id in issued and entry.data not in issued[entry.id].bodies
        ],
        misordered=_misordered(issued, entries) if ordered else [],
    )


def lost(issued: Mapping[str, Notice], present: Collection[str]) -> list[str]:
    """The acknowledged notices that are not (yet) there."""
    return [key for key, notice in issued.items() if notice.acknowledged and key not in present]


def _doubled(entries: Sequence[Entry]) -> list[str]:
    seen: set[str] = set()
    doubled: dict[str, None] = {}
    for entry in entries:
        if entry.id in seen:
            doubled[entry.id] = None
        seen.add(entry.id)
    return list(doubled)


def _misordered(issued: Mapping[str, Notice], entries: Sequence[Entry]) -> list[str]:
    highest: dict[str, int] = {}
    late = []
    for entry in entries:
        notice = issued.get(entry.id)
        if notice is None:
            continue
        if notice.number < highest.get(notice.sid, 0):
            late.append(entry.id)
        highest[notice.sid] = max(notice.number, highest.get(notice.sid, 0))
    return late
