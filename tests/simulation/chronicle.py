"""Everything that happened in a seed, for the judge and for who reads what went wrong."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ours that the vendor received: of which process, about what, its answer.

    `owed` says whether a stop was owed when it was `sent`, `runs` whether the recording ran at
    the moment of the answer, `at`.
    """

    sent: float
    at: float
    process: str
    name: str
    sid: str
    answer: str
    owed: bool
    runs: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One finding as it was put on the stream; `runs`: the recording was not over.

    `doubted`: some of its 404s were not believed, as others were 404s as well.
    """

    at: float
    sid: str
    kind: str
    data: bytes
    runs: bool
    doubted: bool = False


@dataclass(slots=True)
class Known:
    """A recording as the outside knows it; times in seconds, None: it did not happen.

    `registered_at` is when our process had accepted it, `wanted_at` when its stop began to be owed,
    `adrift` from when until when no worker had it.
    """

    sid: str
    cname: str
    mode: str
    started_at: float
    end: str
    known: bool
    registered_at: float | None = None
    wanted_at: float | None = None
    ended_at: float | None = None
    adrift: tuple[float, float] | None = None


@dataclass(slots=True)
class Chronicle:
    """What happened, in the order of time; times are seconds of the seed."""

    recordings: dict[str, Known] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    arrivals: list[tuple[float, str, int, str]] = field(default_factory=list)
    """When, of which recording, which event, and what the receiver answered."""
    happened: list[tuple[float, float, str]] = field(default_factory=list)
    """From when until when something was wrong, and what."""
    logs: list[tuple[float, str, str]] = field(default_factory=list)
    """When, of which recording (or none), which warning of ours."""
    bugs: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ended: float = 0.0

    def story(self, sid: str) -> list[str]:
        """One recording's timeline: what the vendor sent, what was asked, what was told."""
        known = self.recordings.get(sid)
        lines = [(at, f"! {what} until {until:.1f}") for at, until, what in self.happened]
        lines += [(at, f"  log {what}") for at, of, what in self.logs if of in {sid, ""}]
        lines += [
            (at, f"  event {number} arrives: {answer}")
            for at, of, number, answer in self.arrivals
            if of == sid
        ]
        lines += [
            (call.at, f"  {call.process} {call.name}: {call.answer}")
            for call in self.calls
            if call.sid == sid
        ]
        lines += [
            (told.at, f"  TOLD {told.kind}: {told.data.decode()[:160]}")
            for told in self.told
            if told.sid == sid
        ]
        if known is not None:
            adrift = known.adrift or (None, None)
            lines += [
                (at, f"  {what}")
                for at, what in (
                    (known.started_at, f"STARTS ({known.mode}, {known.end})"),
                    (known.registered_at, "registered"),
                    (known.wanted_at, "a stop is owed from now on"),
                    (known.ended_at, "ENDS"),
                    (adrift[0], "ITS WORKER IS LOST"),
                    (adrift[1], "ANOTHER WORKER HAS IT"),
                )
                if at is not None
            ]
        return [f"{at:8.2f} {line}" for at, line in sorted(lines, key=lambda line: line[0])]
