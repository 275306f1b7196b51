"""The loop body: take what is due, decide, ask or stop or tell, count. One process at a time.

One recording's failure does not stop the others; what failed is looked at again a little later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings import gaps
from scheduler.recordings.asking import Asker, Client
from scheduler.recordings.corroboration import Corroboration
from scheduler.recordings.decide import Action, Ask, Close, Stop, Stops, Tell, Wait, decide
from scheduler.recordings.gaps import Damper
from scheduler.recordings.jump import Jump
from scheduler.recordings.kept import Kept
from scheduler.recordings.ledger import (
    ConflictError,
    FencedError,
    Ledger,
    SessionUnreadableError,
)
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.pace import Pace, lag
from scheduler.recordings.session import Session
from scheduler.recordings.stopping import Stopper
from scheduler.recordings.telling import Leadership, Teller
from scheduler.recordings.timeline import Kind, Note, noted
from scheduler.recordings.timings import Timings
from scheduler.recordings.witnesses import CLAIM, ShardWitnesses

log = structlog.get_logger()

RATE = 8.0
"""Calls a second where nobody tells how many there are."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the reconcilers of all shards share: one is told by what the vendor says of the others.

    `rate`: calls a second that may be counted on now.
    """

    corroboration: Corroboration
    damper: Damper
    stopper: Stopper
    kept: Kept | None = None
    rate: Callable[[], float] = lambda: RATE

    @classmethod
    def alone(
        cls, *, timings: Timings, clock: Clock, metrics: RecordingMetrics, stops: bool = True
    ) -> Self:
        """For one reconciler that keeps nothing on disk."""
        return cls(
            corroboration=Corroboration(timings=timings, clock=clock, metrics=metrics),
            damper=Damper(),
            stopper=Stopper(clock=clock, metrics=metrics, rules=Stops(policy=stops)),
        )


class Reconciler:
    """Checks recordings that are due, at most `at_once` at the same time.

    `stops` false: never call `stop`, where `shared` does not say what is allowed.
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
        shared: Shared | None = None,
    ) -> None:
        self._shared = shared = shared or Shared.alone(
            timings=timings, clock=clock, metrics=metrics, stops=stops
        )
        self._ledger = ledger
        self._corroboration = others = shared.corroboration
        self._asker = Asker(client=client, clock=clock, metrics=metrics, corroboration=others)
        self._stopper = shared.stopper
        self._teller = Teller(
            ledger=ledger,
            lease=lease,
            timings=timings,
            clock=clock,
            metrics=metrics,
            decide=self._decide,
            kept=shared.kept,
        )
        others.shards.append(ShardWitnesses(ledger, self._asker, self._teller, lease))
        self._lease = lease
        self._timings = timings
        self._clock = clock
        self._metrics = metrics
        self._at_once = at_once
        self._fence = 0
        self._problem = ""
        self._doubt_until = 0.0
        self._jump = Jump(clock)
        self.pace = Pace()

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
        await self._holding(self._restore())
        if fence is None:
            return self._lease.length / 3
        if fence != self._fence:
            await self._holding(self._ledger.adopt(now=self._clock.now()))
            self._fence = fence
        self._jump.look()
        self._corroboration.in_trouble()
        sids = await self._ledger.due(now=self._clock.now(), limit=self._at_once)
        problems = await asyncio.gather(*(self._check(sid) for sid in sids), return_exceptions=True)
        for problem in problems:
            if problem is not None:
                raise problem
        return await self._next_round()

    async def _holding(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may take longer than the lease, and keep it meanwhile."""
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                done, _ = await asyncio.wait([working], timeout=self._lease.length / 3)
                if not done:
                    await self._lease.hold()
        finally:
            working.cancel()
        await working

    async def _restore(self) -> None:
        """Whoever notices that the store has lost everything gives back what it knows."""
        emptied = self._lease.emptied
        if emptied:
            count = await self._ledger.restore(now=self._clock.now())
            log.warning("recording.ledger_restored", recordings=count)
        if self._shared.kept is not None:
            await self._shared.kept.tend(emptied=emptied)
        if emptied:
            self._lease.note_refilled()

    async def _next_round(self) -> float:
        """Seconds until then; notes how late we are."""
        next_due = await self._ledger.next_due()
        now = self._clock.now()
        late = next_due is not None and next_due < now
        behind = await self._ledger.behind(now=now) if late else 0
        if self._corroboration.in_trouble():
            self._doubt_until = now + self._timings.wave_patience
        self.pace = Pace(
            lag(oldest_due=next_due, behind=behind, now=now, rate=self._shared.rate()),
            wave=now < self._doubt_until,
        )
        # Others may make something due at any time; and the lease wants renewal
        pause = min(self._timings.poll, self._lease.length / 3)
        return pause if next_due is None else min(pause, max(0.0, next_due - now))

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
        if self._jump.spoils(session):
            session = await self._teller.note(session, self._jump.begun_anew) or session
        session = await self._withhold(session)
        match self._decide(session):
            case Wait(until):
                await self._ledger.postpone(sid, self._until(until), version=session.version)
            case Ask(reason):
                await self._ask(session, reason)
            case Stop(reason):
                await self._stop(session, reason)
            case Tell() as told:
                await self._teller.tell(session, told)
            case Close():
                await self._teller.close(session)

    async def _ask(self, session: Session, reason: str) -> None:
        if reason == gaps.HINT and self._shared.damper.damps(session):
            self._metrics.hints.labels("gap_damped").inc()
            now = self._clock.now()
            await self._teller.note(session, lambda known: gaps.explained(known, at=now))
            return
        async with self._claimed(session) as ours:
            if not ours:
                return
            told = await self._asker.ask(session, reason)
            if reason == gaps.HINT:
                self._shared.damper.learn(session, told.reading)
            await self._teller.learn(session, await self._corroboration.judge(session, told))

    async def _stop(self, session: Session, reason: str) -> None:
        async with self._claimed(session) as ours:
            if ours:
                told = await self._stopper.call(self._asker, session, reason)
                await self._teller.learn(session, told)

    @asynccontextmanager
    async def _claimed(self, session: Session) -> AsyncIterator[bool]:
        """Whether the recording is ours to call about, for as long as the block runs."""
        sid, busy = session.sid, self._corroboration.busy
        if sid in busy:  # as a witness
            await self._ledger.postpone(sid, self._clock.now() + CLAIM / 4)
            yield False
            return
        busy.add(sid)
        try:
            ours = await self._ledger.claim(sid, token=self._lease.token, length=CLAIM)
            if not ours:  # a leader before us may still be calling
                await self._ledger.postpone(sid, self._clock.now() + CLAIM / 4)
            yield ours
        finally:
            busy.discard(sid)

    async def _withhold(self, session: Session) -> Session:
        """Note once that a stop is owed and not called."""
        why = self._stopper.withheld(session, timings=self._timings)
        if not why:
            return session
        now = self._clock.now()

        def noting(known: Session) -> Session:
            note = Note(now, Kind.DECISION, f"stop withheld: {why}")
            timeline = noted(known.timeline, note)
            return replace(known, stop_withheld_at=now, timeline=timeline)

        self._stopper.withhold(session, why)
        return await self._teller.note(session, noting) or session

    def _until(self, until: float | None) -> float | None:
        """Not later than the breaker closes: what it held back is owed then."""
        closes_at = self._stopper.closes_at()
        if closes_at is None:
            return until
        return closes_at if until is None else min(until, closes_at)

    def _decide(self, session: Session) -> Action:
        return decide(
            session,
            now=self._clock.now(),
            timings=self._timings,
            stops=self._stopper.rules(),
        )

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("recording.reconciler_interrupted", why=problem)
        elif self._problem and not problem:
            log.info("recording.reconciler_resumed", after=self._problem)
        self._problem = problem
