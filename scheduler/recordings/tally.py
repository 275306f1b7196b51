"""What folding a few events brought to light, counted once it is saved."""

from collections import Counter

from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.sequences import Counted
from scheduler.recordings.session import Evidence, Session


class Tally:
    """Hints, gaps and contradictions of one fold; begun anew when the fold is tried again."""

    def __init__(self) -> None:
        self.contradicted = False
        self._hints: Counter[str] = Counter()
        self._gaps: Counter[str] = Counter()

    def clear(self) -> None:
        """Nothing of it was saved."""
        self.contradicted = False
        self._hints.clear()
        self._gaps.clear()

    def observed(self, session: Session, evidence: Evidence) -> Session:
        """The session after this evidence; what it hints at is noted."""
        after = observe(session, evidence)
        if after.afterwards == "contradicted" != session.afterwards:
            self.contradicted = True
        if after.hint and after.hint != session.hint:
            self._hints[after.hint] += 1
        if after.idle_since is not None and session.idle_since is None:
            self._hints["idle"] += 1
        return after

    def gap(self, counted: Counted) -> None:
        """What a notification's number told."""
        if counted.gap is not None:
            self._hints["gap"] += 1
            self._gaps["missing"] += counted.gap[1] - counted.gap[0] + 1
        self._gaps["late"] += counted.healed

    def count(self, metrics: RecordingMetrics) -> None:
        """It is saved."""
        metrics.contradicted.inc(self.contradicted)
        for kind, number in self._hints.items():
            metrics.hints.labels(kind).inc(number)
        for what, number in self._gaps.items():
            metrics.gaps.labels(what).inc(number)
