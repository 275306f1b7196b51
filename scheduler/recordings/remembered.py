"""The open recordings that this process knows of: counted, listed, written back if lost."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from scheduler.recordings.session import Session, State


class Remembered:
    """Open sessions without their timelines, those that changed last at the end."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[float, Session]] = {}
        self._counts = dict.fromkeys(State, 0)

    def put(self, session: Session, *, now: float) -> None:
        """Keep it while it is open; one that is over is dropped."""
        self.drop(session.sid)
        if not session.told:
            self._open[session.sid] = (now, replace(session, timeline=()))
            self._counts[session.state] += 1

    def drop(self, sid: str) -> None:
        """Forget it, if it is known."""
        found = self._open.pop(sid, None)
        if found is not None:
            self._counts[found[1].state] -= 1

    def get(self, sid: str) -> Session | None:
        """As it was last put."""
        found = self._open.get(sid)
        return found[1] if found else None

    def by_state(self) -> dict[State, int]:
        """How many there are; costs the same for any number of them."""
        return dict(self._counts)

    def newest(self, limit: int) -> list[Session]:
        """Those that changed last."""
        return [session for _, session in islice(reversed(self._open.values()), limit)]

    def sids(self) -> list[str]:
        """Whom it remembers."""
        return list(self._open)

    def fresh(self, *, since: float) -> Iterator[Session]:
        """Those that were put since then; the others are dropped: somebody else may know better."""
        for sid, (touched, session) in list(self._open.items()):
            if touched < since:
                self.drop(sid)
            else:
                yield session
