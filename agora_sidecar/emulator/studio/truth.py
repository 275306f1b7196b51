"""How recordings really are, for whoever compares (pure)."""

from collections import deque
from dataclasses import dataclass, field

MAX_EVENTS = 1000
"""Events remembered of one recording; the oldest go first."""


@dataclass(slots=True)
class Truth:
    """One recording; `status` is the vendor's or one of `task`'s own, times Unix seconds."""

    sid: str
    resource_id: str
    cname: str
    uid: str
    mode: str
    started: float
    status: int
    ended: float | None = None
    events: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    notice_ids: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
