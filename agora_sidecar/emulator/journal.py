"""Ground truth: what was sent with which answer, and how every recording really is.

A test or the demo compares it with what arrived. The oldest entries go first when there are too
many; the counters keep counting.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from agora_sidecar.emulator.studio.task import ADRIFT, GONE
from agora_sidecar.emulator.studio.truth import Truth

MAX_NOTICES = 100_000
MAX_BYTES = 64 * 1024 * 1024
"""Of the bodies of all notices together."""
MAX_RECORDINGS = 10_000
NO_ANSWER = "no answer"


@dataclass(slots=True)
class Notice:
    """One notice, the `ordinal`-th of its recording, and its attempts.

    `bodies`, `answers` (None: no answer) and `sources` go together, one for each attempt.
    `lost` says that it was never to arrive, `gave_up` that no attempt was acknowledged.
    """

    notice_id: str
    sid: str
    event_type: int
    ordinal: int
    bodies: list[bytes] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    lost: bool = False
    gave_up: bool = False

    @property
    def acknowledged(self) -> bool:
        """Whether any attempt was answered with exactly 200."""
        return 200 in self.answers


class Journal:
    """Everything the emulator did to the other side."""

    def __init__(self, *, max_notices: int = MAX_NOTICES, max_bytes: int = MAX_BYTES) -> None:
        self._max_notices = max_notices
        self._max_bytes = max_bytes
        self._bytes = 0
        self.notices: OrderedDict[str, Notice] = OrderedDict()
        self.recordings: OrderedDict[str, Truth] = OrderedDict()
        self.answers: Counter[int | str] = Counter()
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.duplicates_sent = 0
        self.disordered = 0
        self.lost = 0
        self.gave_up = 0
        self.rotations = 0
        self.overlapping = 0
        self._furthest: dict[str, int] = {}

    def add_notice(self, notice: Notice) -> None:
        """A notice came to be."""
        self.notices[notice.notice_id] = notice
        self.lost += notice.lost
        truth = self.recordings.get(notice.sid)
        if truth is not None:
            truth.notice_ids.append(notice.notice_id)
        self._forget()

    def add_recording(self, truth: Truth) -> None:
        """A recording was started."""
        self.recordings[truth.sid] = truth
        if len(self.recordings) > MAX_RECORDINGS:
            forgotten, _ = self.recordings.popitem(last=False)
            self._furthest.pop(forgotten, None)

    def add_attempt(self, notice: Notice, body: bytes, *, source: str) -> int:
        """An attempt goes out; its number is for `add_answer`."""
        if not notice.bodies:
            furthest = self._furthest.get(notice.sid, -1)
            self.disordered += notice.ordinal < furthest
            self._furthest[notice.sid] = max(furthest, notice.ordinal)
        self.sent += 1
        notice.bodies.append(body)
        if notice.notice_id in self.notices:
            self._bytes += len(body)
            self._forget()
        notice.answers.append(None)
        notice.sources.append(source)
        return len(notice.bodies) - 1

    def add_answer(self, notice: Notice, attempt: int, *, status: int | None) -> None:
        """An attempt was answered, or nobody answered (None)."""
        notice.answers[attempt] = status
        self.answers[NO_ANSWER if status is None else status] += 1

    def _forget(self) -> None:
        while len(self.notices) > self._max_notices or self._bytes > self._max_bytes:
            _, oldest = self.notices.popitem(last=False)
            self._bytes -= sum(map(len, oldest.bodies))

    def summary(self) -> dict[str, Any]:
        """All of it as a JSON object, bodies left out."""
        return {
            "sent": self.sent,
            "answers": {str(answer): n for answer, n in self.answers.items()},
            "notices": len(self.notices),
            "lost": self.lost,
            "gaveUp": self.gave_up,
            "duplicatesSent": self.duplicates_sent,
            "disordered": self.disordered,
            "rotations": self.rotations,
            "overlappingUpdates": self.overlapping,
            "calls": dict(self.calls),
            "recordings": {sid: _shown(truth) for sid, truth in self.recordings.items()},
        }


def _shown(truth: Truth) -> dict[str, Any]:
    return {
        "cname": truth.cname,
        "uid": truth.uid,
        "resourceId": truth.resource_id,
        "status": truth.status,
        "mode": truth.mode,
        "gone": truth.status == GONE,
        "failingOver": truth.status == ADRIFT,
        "startedAt": truth.started,
        "endedAt": truth.ended,
        "events": list(truth.events),
    }
