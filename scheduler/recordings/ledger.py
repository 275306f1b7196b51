"""What keeps sessions must do, and how evidence is folded in without losing anybody else's.

Intake, reconciler and the API change the same session: each loads it, folds its news in, and saves
only if nobody saved meanwhile; otherwise it folds its news into what is there now.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from scheduler.recordings.decide import due
from scheduler.recordings.session import Session, State
from scheduler.recordings.timings import Timings

TRIES = 20
"""Conflicts in a row before a change is given up; it will be offered again."""


class ConflictError(Exception):
    """Somebody else saved this session first."""


class FencedError(Exception):
    """Somebody else leads now; nothing was written."""


class SessionUnreadableError(Exception):
    """What the ledger holds under this sid is not a session."""

    def __init__(self, sid: str, why: str) -> None:
        super().__init__(f"recording {sid}: {why}")
        self.sid = sid
        self.why = why


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to tell on the stream, once: its kind and the JSON evidence."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """A session as it shall be saved, and what to tell with it."""

    session: Session
    finding: Finding | None = None


class Ledger(Protocol):
    """Keeps sessions and when each is due. All raise `StoreError` when the store is away."""

    async def load(self, sid: str) -> Session | None:
        """The session as last saved; raises `SessionUnreadableError`."""
        ...

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        """Save if nobody saved since it was loaded; put the finding on the stream in the same step.

        `due` None takes it off the schedule. A finding of a kind that was told is not told again.
        With `token` only while this lease is held. Raises `ConflictError`, `FencedError`.
        """
        ...

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        """Take the right to call the vendor about it, for `length` seconds or until it is saved.

        False while another leader's call may still be under way. Raises `FencedError`.
        """
        ...

    async def due(self, *, now: float, limit: int) -> list[str]:
        """The sids due by now, the oldest first."""
        ...

    async def next_due(self) -> float | None:
        """When the next one is due; Unix seconds."""
        ...

    async def behind(self, *, now: float) -> int:
        """How many are due by now."""
        ...

    async def soon(self, *, by: float, limit: int) -> list[Session]:
        """Sessions that are due by then, the latest first: what was heard of last is due last.

        At most `limit`; what is unreadable is left out.
        """
        ...

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        """Look at it again then; None: take it off the schedule.

        With `version` only if nobody saved since: who saved meanwhile knows better when it is due.
        """
        ...

    async def all(self, *, limit: int) -> list[Session]:
        """Sessions, at most `limit`, in no order; what is unreadable is left out."""
        ...

    async def forget(self, sid: str) -> bool:
        """Drop what is known of it; whether there was anything."""
        ...

    async def absent(self, sids: Sequence[str]) -> list[str]:
        """Those of which nothing is held, not even that they were forgotten."""
        ...

    async def restore(self, *, now: float) -> int:
        """Write back open sessions that the store has lost; how many."""
        ...

    async def adopt(self, *, now: float) -> None:
        """Get to know the open sessions, and see that each is on the schedule."""
        ...

    def open_by_state(self) -> dict[State, int]:
        """How many open sessions this process knows of, by state."""
        ...


Fold = Callable[[Session | None], Change | None]
"""From what is saved now to what shall be saved; None leaves it as it is."""


async def fold(
    ledger: Ledger, sid: str, news: Fold, *, now: float, timings: Timings, token: str | None = None
) -> Session | None:
    """The session with the news in it, saved; None if the news changed nothing.

    Raises:
        StoreError, FencedError, SessionUnreadableError: nothing was saved.
        ConflictError: others kept saving first.
    """
    for _ in range(TRIES):
        session = await ledger.load(sid)
        change = news(session)
        if change is None:
            return None
        when = due(change.session, now=now, timings=timings)
        try:
            return await ledger.save(change, due=when, now=now, token=token)
        except ConflictError:
            continue
    raise ConflictError(f"recording {sid}: others saved first, {TRIES} times")
