"""What the loop learnt, folded into the ledger under the lease; findings in the same step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.recordings import findings
from scheduler.recordings.decide import Action, Close, Tell
from scheduler.recordings.kept import Kept
from scheduler.recordings.ledger import Change, FencedError, Fold, Ledger, fold
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.session import Evidence, Reading, Session, Source, State, close
from scheduler.recordings.timeline import Kind, Note, noted
from scheduler.recordings.timings import Timings

log = structlog.get_logger()

Decide = Callable[[Session], Action]
"""The one thing to do about a recording now."""


class Leadership(Protocol):
    """The lease under which findings are told."""

    length: float
    emptied: bool

    @property
    def token(self) -> str:
        """What the ledger compares before it writes."""
        ...

    async def hold(self) -> int | None:
        """Acquire or renew; None while somebody else leads."""
        ...

    def note_refilled(self) -> None:
        """What the store had lost is there again."""
        ...


class Teller:
    """Saves and tells. All methods raise `FencedError` when somebody else leads."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        lease: Leadership,
        timings: Timings,
        clock: Clock,
        metrics: RecordingMetrics,
        decide: Decide,
        kept: Kept | None = None,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._timings = timings
        self._clock = clock
        self._metrics = metrics
        self._decide = decide
        self._kept = kept

    async def learn(self, before: Session, told: Evidence) -> None:
        """Fold in what the vendor answered; `started` is told if no event did."""

        def news(session: Session | None) -> Change | None:
            if session is None:
                return None  # forgotten meanwhile
            session = observe(session, told)
            if told.reading is Reading.RUNNING and _unheard(session):
                return findings.started(self._decided(session, "told: started"))
            return Change(session)

        after = await self.fold(before.sid, news)
        if after is not None and "started" in after.findings and "started" not in before.findings:
            self._metrics.findings.labels("started").inc()
            log.info("recording.started", sid=after.sid, told_by="query")

    async def close(self, before: Session) -> None:
        """Tell the end, if that is still what is to be done."""

        def news(session: Session | None) -> Change | None:
            # Decided again: somebody may have told something meanwhile
            if session is None or not isinstance(action := self._decide(session), Close):
                return None
            if session.state is not State.CLOSED:
                now = self._clock.now()
                session = close(session, action.reason, told_by=action.told_by, at=now)
            what = f"told: closed, {session.closed_reason} by {session.closed_by}"
            return findings.closed(self._decided(session, what))

        after = await self.fold(before.sid, news)
        if after is not None:
            self._ended(after)

    async def tell(self, before: Session, told: Tell) -> None:
        """Tell what is no end, if it is still so."""

        def news(session: Session | None) -> Change | None:
            if session is None or self._decide(session) != told:
                return None
            what = f"told: {told.kind}, {told.why}"
            return findings.told(self._decided(session, what), told.kind, told.why)

        after = await self.fold(before.sid, news)
        if after is not None:
            self._metrics.findings.labels(told.kind).inc()
            log.warning("recording.told", sid=after.sid, kind=told.kind, why=told.why)

    async def note(self, before: Session, what: Callable[[Session], Session]) -> Session | None:
        """Save a decision that nobody is told of."""

        def news(session: Session | None) -> Change | None:
            return None if session is None else Change(what(session))

        return await self.fold(before.sid, news)

    async def fold(self, sid: str, news: Fold) -> Session | None:
        """Save what is new, if we still lead."""
        # A call may have taken longer than the lease; lost, it may still be free
        if await self._lease.hold() is None:
            raise FencedError(f"recording {sid}: somebody else leads")
        saved = await fold(
            self._ledger,
            sid,
            news,
            now=self._clock.now(),
            timings=self._timings,
            token=self._lease.token,
        )
        if saved is not None and self._kept is not None:
            await self._kept.note(saved)
        return saved

    def _decided(self, session: Session, what: str) -> Session:
        note = Note(self._clock.now(), Kind.DECISION, what)
        return replace(session, timeline=noted(session.timeline, note))

    def _ended(self, session: Session) -> None:
        self._metrics.findings.labels("closed").inc()
        if session.closed_by is not Source.EVENT:
            last = max(session.alive_at or 0, session.heard_at or 0, session.created_at)
            self._metrics.time_to_finding.observe(max(0.0, self._clock.now() - last))
        log.info(
            "recording.ended",
            sid=session.sid,
            reason=session.closed_reason,
            told_by=session.closed_by,
            upload=session.upload,
            files=len(session.files),
        )


def _unheard(session: Session) -> bool:
    return session.heard_at is None and "started" not in session.findings
