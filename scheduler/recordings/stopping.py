"""Stops that are owed: called through the breaker, each one audited, withheld ones too."""

from typing import Any

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.recordings.asking import Asker
from scheduler.recordings.breaker import Breaker
from scheduler.recordings.decide import Stops, stop_due, stop_owed
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.session import Evidence, Session
from scheduler.recordings.stop_audit import StopAudit
from scheduler.recordings.timings import Timings

log = structlog.get_logger()

STOPS_PER_HOUR = 600
"""Stops in an hour where nothing else is said."""


class Stopper:
    """What may be stopped now, and the calls themselves. Those of several shards share one."""

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: RecordingMetrics,
        rules: Stops,
        breaker: Breaker | None = None,
        audit: StopAudit | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self.allowed = rules
        self.breaker = breaker or Breaker(STOPS_PER_HOUR)
        self._audit = audit
        self._open = False

    def rules(self) -> Stops:
        """What is allowed now; said in the log when the breaker opens or closes."""
        is_open = self.breaker.is_open(self._clock.now())
        if is_open and not self._open:
            log.error("recording.stop_breaker", open=True, limit=self.breaker.limit)
        elif self._open and not is_open:
            log.info("recording.stop_breaker", open=False, limit=self.breaker.limit)
        self._open = is_open
        used = self.breaker.used(self._clock.now())
        self._metrics.stops_left.set(max(0, self.breaker.limit - used))
        return Stops(self.allowed.policy and not is_open, self.allowed.app_ids)

    def status(self) -> dict[str, Any]:
        """What is allowed, and how much of it is used."""
        now = self._clock.now()
        return {
            "policy": "owed" if self.allowed.policy else "off",
            "lastHour": self.breaker.used(now),
            "perHour": self.breaker.limit,
            "breakerOpen": self.breaker.is_open(now),
        }

    def closes_at(self) -> float | None:
        """When stops are allowed again, where the breaker forbids them."""
        return self.breaker.closes_at(self._clock.now()) if self.allowed.policy else None

    def withheld(self, session: Session, *, timings: Timings) -> str:
        """Why a stop that is owed now is not called and was not noted yet; empty: none is."""
        at = stop_due(session, timings=timings)
        if at is None or at > self._clock.now() or session.stop_withheld_at is not None:
            return ""
        if not self.allowed.policy:
            return "stop_policy is off"
        return f"more than {self.breaker.limit} stops in an hour" if self._open else ""

    def withhold(self, session: Session, why: str) -> None:
        """Record a stop that would have been called."""
        reason = stop_owed(session, now=self._clock.now())
        self._metrics.stops.labels(reason, "withheld").inc()
        log.warning("recording.stop_withheld", sid=session.sid, reason=reason, why=why)
        self._record(session, reason, called=False, result=f"withheld: {why}")

    async def call(self, asker: Asker, session: Session, reason: str) -> Evidence:
        """Call `stop`; recorded before and after, so that also a call without an end is found."""
        self.breaker.note(self._clock.now())
        self._record(session, reason, called=True, result="calling")
        told = await asker.stop(session, reason)
        self._record(session, reason, called=True, result=told.reading.value, answer=told.text)
        return told

    def _record(
        self, session: Session, reason: str, *, called: bool, result: str, answer: str = ""
    ) -> None:
        if self._audit is not None:
            self._audit.write(
                at=self._clock.now(),
                sid=session.sid,
                cname=session.cname,
                reason=reason,
                called=called,
                result=result,
                tries=session.stop_tries + called,
                state=session.state,
                wanted_at=session.stop_wanted_at,
                answer=answer,
            )
