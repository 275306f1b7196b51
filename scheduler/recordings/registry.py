"""What the business server and operators may do: make known, look, want a stop, forget."""

import asyncio
from dataclasses import replace
from typing import Any

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings.decide import ALLOWED, Stops
from scheduler.recordings.findings import describe
from scheduler.recordings.kept import Kept
from scheduler.recordings.ledger import Change, Ledger, fold
from scheduler.recordings.outlook import outlook
from scheduler.recordings.registration import Registration, join
from scheduler.recordings.session import Session, State, hinted
from scheduler.recordings.timeline import Kind, Note, noted
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
        kept: Kept | None = None,
        stops: Stops = ALLOWED,
    ) -> None:
        self._ledger = ledger
        self._timings = timings
        self._clock = clock
        self._max_duration = max_duration
        self._kept = kept
        self._stops = stops

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

        try:
            saved = await fold(self._ledger, facts.sid, news, now=now, timings=self._timings)
        except (StoreError, asyncio.CancelledError):  # away, or given up because it hangs
            await self._owe(facts, now=now)
            raise
        before, joined = seen[-1]
        await self._keep(saved or joined)
        return saved or joined, before is None

    async def want_stopped(self, sid: str) -> Session | None:
        """The session, with a stop owed unless it is over already; None where it is unknown."""
        now = self._clock.now()

        def news(session: Session | None) -> Change | None:
            if session is None or session.state is State.CLOSED or session.stop_wanted:
                return None
            note = Note(now, Kind.DECISION, "its owner wants it stopped")
            timeline = noted(session.timeline, note)
            return Change(
                replace(session, stop_wanted="requested", stop_wanted_at=now, timeline=timeline)
            )

        saved = await fold(self._ledger, sid, news, now=now, timings=self._timings)
        await self._keep(saved)
        return saved or await self._ledger.load(sid)

    async def hurry(self, sid: str) -> Session | None:
        """The session, to be asked about as soon as possible; None where it is unknown."""
        now = self._clock.now()

        def news(session: Session | None) -> Change | None:
            if session is None or session.state is State.CLOSED or not session.askable(now):
                return None
            note = Note(now, Kind.DECISION, "an operator wants it asked about")
            session = replace(session, timeline=noted(session.timeline, note))
            return Change(hinted(session, "operator", at=now))

        saved = await fold(self._ledger, sid, news, now=now, timings=self._timings)
        return saved or await self._ledger.load(sid)

    def describe(self, session: Session) -> dict[str, Any]:
        """A session for people and programs, with what will be done about it next."""
        now = self._clock.now()
        ahead = outlook(session, now=now, timings=self._timings, stops=self._stops)
        return describe(session, now=now) | {"next": ahead}

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
        if self._kept is not None:
            await self._kept.drop(sid)
        return await self._ledger.forget(sid)

    async def _keep(self, session: Session | None) -> None:
        if session is not None and self._kept is not None:
            await self._kept.note(session)

    async def _owe(self, facts: Registration, *, now: float) -> None:
        """The store is away: it is known on disk, and joined when the store is back."""
        if self._kept is not None:
            await self._kept.owe(join(None, facts, now=now, max_duration=self._max_duration))
