"""Jumps of this machine's clock: no 404 has lasted because of one."""

from dataclasses import replace

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.recordings.session import Session
from scheduler.recordings.timeline import Kind, Note, noted

log = structlog.get_logger()

LEAST = 2.0
"""Seconds; less is how a clock is put right while it runs."""


class Jump:
    """The last jump of the wall clock against the one that only ever grows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = clock.now() - clock.monotonic()
        self._at: float | None = None

    def look(self) -> None:
        """Notice a jump since the last look; it is said in the log."""
        now = self._clock.now()
        ahead = now - self._clock.monotonic()
        if abs(ahead - self._ahead) >= LEAST:
            log.warning("recording.clock_jumped", seconds=round(ahead - self._ahead, 1))
            self._at = now
        self._ahead = ahead

    def spoils(self, session: Session) -> bool:
        """Whether its 404 was first seen before the jump: how long it lasts is not known."""
        since = session.missing_since if session.unfound_since is None else session.unfound_since
        return self._at is not None and since is not None and not self._at <= since <= self._now

    def begun_anew(self, session: Session) -> Session:
        """The session with its 404 to be seen for the first time, if that is still so."""
        if not self.spoils(session):
            return session
        note = Note(self._now, Kind.DECISION, "the clock jumped: the 404 has to last anew")
        timeline = noted(session.timeline, note)
        return replace(
            session,
            unfound_since=None,
            unfound_at=None,
            missing_since=None,
            missing_at=None,
            timeline=timeline,
        )

    @property
    def _now(self) -> float:
        return self._clock.now()
