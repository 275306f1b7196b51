"""Whether a 404 speaks of the recording or of the vendor: what it answers about others just then.

If the vendor knows another recording, or there is none that should work, a 404 is believed. If
others are 404s as well, none is: rather the vendor has a problem than all of them ended at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from math import inf
from typing import NamedTuple, Protocol

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings.decide import stop_owed
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.patience import is_over
from scheduler.recordings.session import NO_ANSWER, Evidence, Reading, Session, State
from scheduler.recordings.timings import Timings

log = structlog.get_logger()

MOST = 3
"""Others that are looked at: one that is registered with another's resource id is always a 404."""


class Verdict(Enum):
    """What others say of a 404."""

    BELIEVED = auto()
    DOUBTED = auto()
    UNSURE = auto()


class _Found(NamedTuple):
    """A recording that the vendor knows: asked and answered when (monotonic seconds)."""

    app_id: str
    asked: float
    answered: float


class Witnesses(Protocol):
    """The recordings of one shard. All raise `StoreError`, `FencedError`."""

    async def others(self, *, by: float) -> Sequence[Session]:
        """Recordings that are due by then (Unix seconds), the latest first."""
        ...

    async def question(self, other: Session) -> Reading | None:
        """Ask about it, and fold the answer in; None: it cannot be asked now."""
        ...


class Corroboration:
    """What the vendor said of others, over all shards. `busy`: who is being asked about now."""

    def __init__(self, *, timings: Timings, clock: Clock, metrics: RecordingMetrics) -> None:
        self.busy: set[str] = set()
        self.shards: list[Witnesses] = []
        self._timings = timings
        self._clock = clock
        self._metrics = metrics
        self._found: dict[str, _Found] = {}
        self._doubted_at: float | None = None
        self._troubled = False
        self._one = asyncio.Lock()

    def note(self, session: Session, told: Evidence, *, asked: float) -> None:
        """The vendor answered about this recording what was asked then (monotonic seconds)."""
        if told.reading is Reading.NOT_FOUND or told.reading in NO_ANSWER:
            return
        self._doubted_at = None
        now = self._clock.monotonic()
        since = now - self._timings.same_time
        self._found = {sid: found for sid, found in self._found.items() if found.answered >= since}
        self._found[session.sid] = _Found(session.app_id, asked, now)

    async def judge(self, session: Session, told: Evidence) -> Evidence:
        """The evidence, and what it is worth if it is a 404. Others may be asked about for that."""
        if told.reading is not Reading.NOT_FOUND:
            return told
        ends = is_over(observe(session, told), timings=self._timings)
        # what would end it counts only beside what is asked later: trouble may have just begun
        asked_after = self._clock.monotonic() if ends else -inf
        async with self._one:
            verdict = await self._compare(session, asked_after)
        if verdict is Verdict.DOUBTED:
            self._doubted_at = self._clock.monotonic()
        doubted = verdict is Verdict.DOUBTED
        # a 404 after an end that is certain is what everybody expects
        unsure = verdict is Verdict.UNSURE and session.ended_at is None
        return replace(told, doubted=doubted, unsure=unsure)

    def in_trouble(self) -> bool:
        """Whether 404s are doubted and nothing was found since; its changes are in the log."""
        troubled = self._goes_on()
        self._metrics.wave.set(troubled)
        if troubled and not self._troubled:
            log.error("recording.not_found_wave", on=True)
        elif self._troubled and not troubled:
            log.info("recording.not_found_wave", on=False)
        self._troubled = troubled
        return troubled

    def _goes_on(self) -> bool:
        at = self._doubted_at
        return at is not None and self._clock.monotonic() - at <= self._timings.wave_patience

    async def _compare(self, session: Session, asked_after: float) -> Verdict:
        if self._knows_another(session, asked_after):
            return Verdict.BELIEVED
        # where nobody is left to ask about, trouble is over when something is found
        verdict = Verdict.UNSURE if self._goes_on() else Verdict.BELIEVED
        others: list[tuple[Witnesses, Session]] = []
        # whoever is not silent is due within the longest silence; what was heard of last, last
        by = self._clock.now() + self._timings.silence * (1 + self._timings.jitter)
        for shard in self.shards:
            try:
                found = await shard.others(by=by)
            except StoreError:  # its part of the store is away: the other shards go on
                verdict = Verdict.UNSURE
                continue
            now = self._clock.now()
            others += [(shard, other) for other in found if _should_work(other, session, now=now)]
        for shard, other in sorted(others, key=lambda pair: _worth(pair[1]))[:MOST]:
            told = await self._about(shard, other)
            if told is Verdict.BELIEVED:
                return told
            if verdict is not Verdict.DOUBTED:
                verdict = told
        return verdict

    async def _about(self, shard: Witnesses, other: Session) -> Verdict:
        """What this one says: believed, as the vendor knows it; doubted, as it does not."""
        missed = other.unfound_at
        if missed is not None and 0 <= self._clock.now() - missed <= self._timings.same_time:
            return Verdict.DOUBTED
        if other.sid in self.busy:
            return Verdict.UNSURE
        self.busy.add(other.sid)
        try:
            reading = await shard.question(other)
        finally:
            self.busy.discard(other.sid)
        if reading is Reading.NOT_FOUND:
            return Verdict.DOUBTED
        unsure = reading is None or reading in NO_ANSWER
        return Verdict.UNSURE if unsure else Verdict.BELIEVED

    def _knows_another(self, session: Session, asked_after: float) -> bool:
        since = self._clock.monotonic() - self._timings.same_time
        return any(
            sid != session.sid
            and found.app_id == session.app_id
            and found.answered >= since
            and found.asked > asked_after
            for sid, found in self._found.items()
        )


def _worth(other: Session) -> tuple[bool, bool]:
    """Whom to ask about first: what is no 404 yet, and was seen recording."""
    return other.unfound, other.state is State.STARTING


def _should_work(other: Session, session: Session, *, now: float) -> bool:
    """Whether a 404 of this other one says something: nobody has reason to think that it ended."""
    return (
        other.sid != session.sid
        and other.app_id == session.app_id
        and other.state in {State.STARTING, State.RECORDING}
        and other.missing_since is None
        and not stop_owed(other, now=now)
        and other.askable(now)
    )
