"""The judge: what was told, asked and stopped against what the vendor knows to be true (pure)."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from scheduler.loops import LEASE_LENGTH
from scheduler.recordings.timings import Timings
from tests.simulation.chronicle import Call, Chronicle, Known
from tests.simulation.scenario import Scenario

PER_SECOND = 8.0
SLACK = 20.0
"""Seconds for the calls themselves, and for those that are due at the same time."""
LEAVING = 15.0 + 90.0
"""Seconds from a stop that was heard to the end, a slow upload included."""
CERTAIN = (11, 71)
"""Events after which the end is certain, and only word of the files is waited for."""
ABNORMAL = "200 status 20"
"""An answer that says so, too."""


@dataclass(slots=True)
class Verdict:
    """What is wrong, by kind: whom it befell and how; `took` are the times to each `closed`.

    `worst` is the largest part of its bound that any of them took.
    """

    failures: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    worst: float = 0.0

    def add(self, kind: str, sid: str, how: str) -> None:
        """One more thing that is wrong."""
        self.failures.setdefault(kind, []).append((sid, how))


def judge(chronicle: Chronicle, plan: Scenario, *, timings: Timings) -> Verdict:
    """Compare everything that happened with what may happen."""
    verdict = Verdict()
    for bug in chronicle.bugs:
        verdict.add("bugs", "", bug)
    _findings(chronicle, verdict)
    _stops(chronicle, verdict)
    _calls(chronicle, verdict)
    bounds = Bounds(chronicle, timings)
    for known in chronicle.recordings.values():
        if known.known:
            _settled(chronicle, known, bounds, verdict)
    if len(chronicle.recordings) < len(plan.recordings):
        verdict.add("unsettled", "", "not every recording was started")
    return verdict


def _findings(chronicle: Chronicle, verdict: Verdict) -> None:
    for (sid, kind), count in Counter((t.sid, t.kind) for t in chronicle.told).items():
        if count > 1:
            verdict.add("doubled", sid, f"{kind} {count} times")
    for told in chronicle.told:
        if told.sid not in chronicle.recordings:
            verdict.add("foreign", told.sid, f"{told.kind} of a recording that never was")
        elif told.kind == "closed" and told.runs:
            verdict.add("wrong ends", told.sid, f"closed at {told.at:.1f} while it ran")


def _stops(chronicle: Chronicle, verdict: Verdict) -> None:
    for call in chronicle.calls:
        if call.name == "stop" and not call.owed:
            verdict.add("wrong stops", call.sid, f"stop at {call.at:.1f} that nobody owed")


def _calls(chronicle: Chronicle, verdict: Verdict) -> None:
    """The budget of each process, and never two calls about one recording at the same time."""
    by_process: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(chronicle.calls, key=lambda call: call.sent):
        by_process[call.process].append(call)
    for process, calls in by_process.items():
        for first, last in zip(calls, calls[int(PER_SECOND) + 1 :], strict=False):
            if last.sent - first.sent < 1.0:
                verdict.add("over budget", last.sid, f"{process} at {last.sent:.1f}")
    _overlaps(chronicle, verdict)


def _overlaps(chronicle: Chronicle, verdict: Verdict) -> None:
    last: dict[str, Call] = {}
    for call in sorted(chronicle.calls, key=lambda call: call.sent):
        before = last.get(call.sid)
        if before is not None and call.sent < before.at:
            how = f"{before.process} and {call.process} at {call.sent:.1f}"
            verdict.add("at once", call.sid, how)
        last[call.sid] = call


def _settled(chronicle: Chronicle, known: Known, bounds: "Bounds", verdict: Verdict) -> None:
    closed = [told for told in chronicle.told if told.sid == known.sid and told.kind == "closed"]
    if known.wanted_at is not None and known.wanted_at < chronicle.ended:
        bound = bounds.of_stop(known)
        if known.ended_at is None or known.ended_at > bound:
            verdict.add("not stopped", known.sid, f"ended {known.ended_at}, bound {bound:.1f}")
    if not closed or known.ended_at is None:
        verdict.add("unsettled", known.sid, f"no closed by {chronicle.ended:.0f}")
        return
    bound = bounds.of_finding(known, doubted=closed[0].doubted)
    took, may = closed[0].at - known.ended_at, bound - known.ended_at
    verdict.took.append(took)
    verdict.worst = max(verdict.worst, took / may)
    if closed[0].at > bound:
        verdict.add("late", known.sid, f"closed {took:.1f} s after its end, bound {may:.1f} s")


class Bounds:
    """Until when something must have been found out, from the timings and what went wrong."""

    def __init__(self, chronicle: Chronicle, timings: Timings) -> None:
        self._timings = timings
        self._trouble = list(self._troubles(chronicle))
        self._arrivals: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._abnormal: dict[str, list[float]] = defaultdict(list)
        for call in chronicle.calls:
            if call.answer == ABNORMAL:
                self._abnormal[call.sid].append(call.at)
        for at, sid, number, answer in chronicle.arrivals:
            if answer == "200":
                self._arrivals[sid].append((at, number))

    def of_finding(self, known: Known, *, doubted: bool) -> float:
        """When `closed` must be on the stream."""
        timings = self._timings
        ended = max(known.ended_at or 0.0, known.registered_at or 0.0)
        arrivals = self._arrivals[known.sid]
        heard = max([ended, *(at for at, _ in arrivals)])
        silence = max(timings.silence * (1 + timings.jitter), timings.ask_again[-1])
        until = heard + silence + timings.end_after_404 + SLACK
        exits = [self._abnormal[known.sid][:1]]
        exits += [[at for at, told in arrivals if told == number][:1] for number in CERTAIN]
        for at in chain.from_iterable(exits):
            until = max(until, at + timings.upload_wait + SLACK)
        # what turned with many others stays doubted until it is found again
        until += timings.wave_patience if doubted else 0.0
        return self._extended(known, ended, until, again=timings.ask_again[-1])

    def of_stop(self, known: Known) -> float:
        """When a recording whose stop is owed must be over."""
        owed = max(known.wanted_at or 0.0, known.registered_at or 0.0)
        until = owed + self._timings.poll + LEAVING + SLACK
        return self._extended(known, owed, until, again=self._timings.stop_again[-1])

    def _extended(self, known: Known, since: float, until: float, *, again: float) -> float:
        """Later by all that kept us from it, and by the longest interval of trying `again`."""
        own = [(*known.adrift, True)] if known.adrift else []
        for begin, end, tried in sorted([*self._trouble, *own]):
            over = end + (again if tried else 0.0)
            if begin <= until and over >= since:
                until += over - max(begin, since)
        return until

    def _troubles(self, chronicle: Chronicle) -> Iterator[tuple[float, float, bool]]:
        """From when until when, and whether we tried in vain meanwhile."""
        for begin, end, what in chronicle.happened:
            if what.startswith("scheduler"):
                yield begin, end + LEASE_LENGTH + self._timings.poll, False
            else:
                # a 404 of before or meanwhile is worth nothing: it has to last anew
                anew = self._timings.end_after_404 if "no task" in what else 0.0
                yield begin, end + anew, True
