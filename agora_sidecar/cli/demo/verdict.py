"""What was acknowledged against what is on the stream: nothing lost, doubled or altered (pure)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agora_sidecar.entry import Entry

FINDING = "io.agora.sidecar.recording."
CLOSED = FINDING + "closed"


class Sent(Protocol):
    """One notice as the sender remembers it."""

    bodies: list[bytes]
    answers: list[int | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Ids of notices and recordings that break a promise; all empty is what is wanted."""

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    unclosed: tuple[str, ...] = ()
    closed_twice: tuple[str, ...] = ()
    stored: int = 0
    findings: Mapping[str, int] = field(default_factory=dict)
    told_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not (
            self.lost
            or self.doubled
            or self.altered
            or self.foreign
            or self.unclosed
            or self.closed_twice
        )

    def as_json(self) -> dict[str, Any]:
        """Counts, for the report."""
        return {
            "stored": self.stored,
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "altered": len(self.altered),
            "foreign": len(self.foreign),
            "unclosed": len(self.unclosed),
            "closedTwice": len(self.closed_twice),
            "findings": dict(self.findings),
            "toldBy": dict(self.told_by),
        }


def judge(
    entries: Sequence[Entry],
    notices: Mapping[str, Sent],
    recordings: Iterable[str],
    *,
    told_by: Mapping[str, int],
) -> Verdict:
    """Compare the whole stream with everything that was sent.

    A notice that was not acknowledged may be there (the answer got lost) or not; one that was must
    be there once, with the bytes of one of its attempts.
    """
    delivered = [entry for entry in entries if not entry.type.startswith(FINDING)]
    findings = Counter(e.type.removeprefix(FINDING) for e in entries if e.type.startswith(FINDING))
    times = Counter(entry.id for entry in delivered)
    closed = Counter(entry.subject for entry in entries if entry.type == CLOSED)
    acknowledged = {name for name, sent in notices.items() if 200 in sent.answers}
    return Verdict(
        lost=tuple(sorted(acknowledged - set(times))),
        doubled=tuple(sorted(name for name, number in times.items() if number > 1)),
        altered=tuple(
            sorted(
                entry.id
                for entry in delivered
                if entry.id in notices and entry.data not in notices[entry.id].bodies
            )
        ),
        foreign=tuple(sorted(name for name in times if name not in notices)),
        unclosed=tuple(sorted(sid for sid in recordings if not closed[sid])),
        closed_twice=tuple(sorted(sid for sid, number in closed.items() if number > 1)),
        stored=len(delivered),
        findings=dict(findings),
        told_by=dict(told_by),
    )
