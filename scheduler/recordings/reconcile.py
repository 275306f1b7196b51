"""The loop body: take what is due, decide, ask or stop or tell, count. One process at a time.

One recording's failure does not stop the others; what failed is looked at again a little later.
"""

import asyncio
from dataclasses import replace
from typing import Protocol

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings import findings
from scheduler.recordings.asking import Asker, Client
from scheduler.recordings.decide import Action, Ask, Close, Stop, Wait, decide, stop_owed
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    FencedError,
    Fold,
    Ledger,
    SessionUnreadableError,
    fold,
)
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.session import Evidence, Reading, Session, State, close
from scheduler.recordings.timings import Timings
from scheduler.recordings.wave import Wave

log = structlog.get_logger()


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


class Reconciler:
    """Checks recordings that are due, at most `at_once` at the same time.

    Those of several shards share one `wave`: a small fleet in many shards must not miss it.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: Client,
        lease: Leadership,
        timings: Timings,
        clock: Clock,
        metrics: RecordingMetrics,
        stops: bool = True,
        at_once: int = 8,
        wave: Wave | None = None,
    ) -> None:
        self._ledger = ledger
        self._asker = Asker(
            client=client,
            clock=clock,
            metrics=metrics,
            wave=wave or Wave(window=timings.wave_window),
        )
        self._lease = lease
        self._timings = timings
        self._clock = clock
        self._metrics = metrics
        self._stops = stops
        self._at_once = at_once
        self._fence = 0
        self._problem = ""

    async def run_once(self) -> float | None:
        """One round; the seconds until the next one is worth it."""
        try:
            again = await self._round()
        except StoreError as error:
            self._note(error.kind)
            return self._timings.poll
        self._note("")
        return again

    async def _round(self) -> float:
        fence = await self._lease.hold()
        self._metrics.leading.set(fence is not None)
        if fence is None:
            return self._lease.length / 3
        await self._take_over(fence)
        self._asker.in_wave()
        sids = await self._ledger.due(now=self._clock.now(), limit=self._at_once)
        problems = await asyncio.gather(*(self._check(sid) for sid in sids), return_exceptions=True)
        for problem in problems:
            if problem is not None:
                raise problem
        self._metrics.show_states(self._ledger.open_by_state())
        next_due = await self._ledger.next_due()
        if next_due is None:
            return self._pause
        return min(self._pause, max(0.0, next_due - self._clock.now()))

    async def _take_over(self, fence: int) -> None:
        """What a leader does first; and what it does when the store has lost everything."""
        if self._lease.emptied:
            count = await self._ledger.restore(now=self._clock.now())
            self._lease.note_refilled()
            log.warning("recording.ledger_restored", recordings=count)
        if fence != self._fence:
            await self._ledger.adopt(now=self._clock.now())
            self._fence = fence

    @property
    def _pause(self) -> float:
        """Others may make something due at any time; and the lease wants renewal."""
        return min(self._timings.poll, self._lease.length / 3)

    async def _check(self, sid: str) -> None:
        try:
            await self._act(sid)
        except StoreError:
            raise
        except FencedError:
            log.warning("recording.fenced", sid=sid)
        except (ConflictError, SessionUnreadableError) as error:
            log.warning("recording.check_deferred", sid=sid, why=str(error))
            await self._later(sid)
        except Exception as error:  # boundary: one recording must not stop the others
            self._metrics.failures.inc()
            log.exception("recording.check_failed", sid=sid, why=repr(error))
            await self._later(sid)

    async def _later(self, sid: str) -> None:
        await self._ledger.postpone(sid, self._clock.now() + self._timings.ask_again[-1])

    async def _act(self, sid: str) -> None:
        session = await self._ledger.load(sid)
        if session is None:
            await self._ledger.postpone(sid, None, version=0)
            return
        action = self._decide(session)
        owed = stop_owed(session, now=self._clock.now())
        if owed and not self._stops and isinstance(action, Ask):
            log.info("recording.stop_withheld", sid=sid, reason=owed)
        match action:
            case Wait(until):
                await self._ledger.postpone(sid, until, version=session.version)
            case Ask():
                await self._learn(session, await self._asker.ask(session))
            case Stop(reason):
                await self._learn(session, await self._asker.stop(session, reason))
            case Close():
                await self._close(session)

    def _decide(self, session: Session) -> Action:
        return decide(
            session,
            now=self._clock.now(),
            timings=self._timings,
            stops=self._stops,
            wave=self._asker.in_wave(),
        )

    async def _learn(self, before: Session, told: Evidence) -> None:
        def news(session: Session | None) -> Change | None:
            if session is None:
                return None  # forgotten meanwhile
            session = observe(session, told)
            if told.reading is Reading.RUNNING and _unheard(session):
                session = replace(session, started_told=True)
                return Change(session, findings.started(session))
            return Change(session)

        after = await self._fold(before.sid, news)
        if after is not None and after.started_told and not before.started_told:
            self._metrics.findings.labels("started").inc()
            log.info("recording.started", sid=after.sid, told_by="query")

    async def _close(self, before: Session) -> None:
        def news(session: Session | None) -> Change | None:
            # Decided again: somebody may have told something meanwhile
            if session is None or not isinstance(action := self._decide(session), Close):
                return None
            if session.state is not State.CLOSED:
                now = self._clock.now()
                session = close(session, action.reason, told_by=action.told_by, at=now)
            session = replace(session, told=True)
            return Change(session, findings.closed(session))

        after = await self._fold(before.sid, news)
        if after is not None:
            self._metrics.findings.labels("closed").inc()
            log.info(
                "recording.ended",
                sid=after.sid,
                reason=after.closed_reason,
                told_by=after.closed_by,
                upload=after.upload,
                files=len(after.files),
            )

    async def _fold(self, sid: str, news: Fold) -> Session | None:
        # The call may have taken longer than the lease; lost, it may still be free
        if await self._lease.hold() is None:
            raise FencedError(f"recording {sid}: somebody else leads")
        return await fold(
            self._ledger,
            sid,
            news,
            now=self._clock.now(),
            timings=self._timings,
            token=self._lease.token,
        )

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("recording.reconciler_interrupted", why=problem)
        elif self._problem and not problem:
            log.info("recording.reconciler_resumed", after=self._problem)
        self._problem = problem


def _unheard(session: Session) -> bool:
    return session.heard_at is None and not session.started_told
