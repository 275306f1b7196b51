"""What the business server and operators may do: make known, look, want a stop, forget."""

from dataclasses import replace

from agora_sidecar.process.clock import Clock
from scheduler.recordings.ledger import Change, Ledger, fold
from scheduler.recordings.registration import Registration, join
from scheduler.recordings.session import Session, State
from scheduler.recordings.timings import Timings


class Registry:
    """The ledger as its users see it. All methods raise `StoreError` when the store is away.

    `max_duration` (seconds) is for recordings that give none.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        timings: Timings,
        clock: Clock,
        max_duration: float | None = None,
    ) -> None:
        self._ledger = ledger
        self._timings = timings
        self._clock = clock
        self._max_duration = max_duration

    async def register(self, facts: Registration) -> tuple[Session, bool]:
        """The session with these facts, and whether it was unknown before; idempotent.

        Raises:
            OtherRecordingError: this sid was registered with other facts.
        """
        now = self._clock.now()
        seen: list[tuple[Session | None, Session]] = []

        def news(session: Session | None) -> Change | None:
            joined = join(session, facts, now=now, max_duration=self._max_duration)
            seen.append((session, joined))
            return None if joined == session else Change(joined)

        saved = await fold(self._ledger, facts.sid, news, now=now, timings=self._timings)
        before, joined = seen[-1]
        return saved or joined, before is None

    async def want_stopped(self, sid: str) -> Session | None:
        """The session, with a stop owed unless it is over already; None where it is unknown."""
        now = self._clock.now()

        def news(session: Session | None) -> Change | None:
            if session is None or session.state is State.CLOSED or session.stop_wanted:
                return None
            return Change(replace(session, stop_wanted="requested", stop_wanted_at=now))

        saved = await fold(self._ledger, sid, news, now=now, timings=self._timings)
        return saved or await self._ledger.load(sid)

    async def get(self, sid: str) -> Session | None:
        """What is known of one recording.

        Raises:
            SessionUnreadableError: what the ledger holds is not a session.
        """
        return await self._ledger.load(sid)

    async def all(self, *, limit: int) -> list[Session]:
        """Recordings, at most `limit`, those that began last first."""
        found = await self._ledger.all(limit=limit)
        return sorted(found, key=lambda session: session.started_at, reverse=True)

    async def forget(self, sid: str) -> bool:
        """Drop what is known of it; whether there was anything."""
        return await self._ledger.forget(sid)
