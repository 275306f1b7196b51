"""The stream's events folded into the ledger, as a member of a consumer group.

An entry is acknowledged once the session it speaks of is saved. One that cannot be read is
logged, counted and acknowledged: it never stops the others. A store that is absent, lost or came
back empty is waited for.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

import structlog

from agora_sidecar.agora.errors import AgoraError
from agora_sidecar.agora.events import decode_details
from agora_sidecar.agora.notifications import Notification, read_details, read_notification
from agora_sidecar.entry import Entry
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings import gaps
from scheduler.recordings.evidence import is_recording_event, of_event
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    Ledger,
    SessionUnreadableError,
    fold,
)
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.session import Evidence, Session
from scheduler.recordings.tally import Tally
from scheduler.recordings.timings import Timings

log = structlog.get_logger()

NOT_EVIDENCE = frozenset({"reconciler", "replay"})
"""Origins of entries that tell nothing new: our own findings, and what was put there again."""

MAX_SID = 128
"""Characters; 32 in every observed sample, and it becomes part of a key."""

DEFAULT_SOURCE = "default"

BATCH = 200
BLOCK = 1.0
"""Seconds to wait for new entries: also how soon a request to stop is noticed."""
RECLAIM_IDLE = 60.0
"""Seconds after which an entry that some member never acknowledged is taken over."""
RETRY = 1.0
"""Seconds between attempts while the store does not answer."""


class Reader(Protocol):
    """What reads the stream as a group; all raise `StoreError`."""

    async def read(self, *, count: int, block: float) -> list[Entry]:
        """New entries."""
        ...

    async def reclaim(self, *, count: int, idle: float) -> list[Entry]:
        """Entries that were never acknowledged."""
        ...

    async def acknowledge(self, stream_ids: Sequence[str]) -> None:
        """These are done with."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """What one entry says about one recording."""

    stream_id: str
    source: str
    notice: Notification
    evidence: Evidence


class Intake:
    """Reads entries and folds them, until told to stop."""

    def __init__(
        self,
        *,
        reader: Reader,
        ledger: Ledger,
        timings: Timings,
        clock: Clock,
        metrics: RecordingMetrics,
        block: float = BLOCK,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._timings = timings
        self._clock = clock
        self._metrics = metrics
        self._block = block
        self._problem = ""
        self._reclaim_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Fold entries until `stop` is set; survives every error of the store."""
        while not stop.is_set():
            try:
                await self.step()
            except StoreError as error:
                self._note(error.kind)
                await self._pause(stop)
            except Exception as error:  # boundary: the next batch may be well
                log.exception("recording.intake_failed", why=repr(error))
                await self._pause(stop)
            else:
                self._note("")

    async def step(self) -> int:
        """Take one batch, new entries or those left behind; how many.

        Raises:
            StoreError: what was not acknowledged will be delivered again.
        """
        entries = await self._left_behind()
        if not entries:
            entries = await self._reader.read(count=BATCH, block=self._block)
        await self._take(entries)
        return len(entries)

    async def _left_behind(self) -> list[Entry]:
        if self._clock.monotonic() < self._reclaim_at:
            return []
        entries = await self._reader.reclaim(count=BATCH, idle=RECLAIM_IDLE)
        if len(entries) < BATCH:
            self._reclaim_at = self._clock.monotonic() + RECLAIM_IDLE
        return entries

    async def _take(self, entries: Iterable[Entry]) -> None:
        done: list[str] = []
        told: list[_Told] = []
        for entry in entries:
            what = self._read(entry)
            if what is None:
                done.append(entry.stream_id)
            else:
                told.append(what)
        told.sort(key=_sid)  # stable: the order within a recording stays
        for sid, group in groupby(told, key=_sid):
            done += await self._fold(sid, list(group))
        await self._reader.acknowledge(done)

    def _read(self, entry: Entry) -> _Told | None:
        if entry.origin in NOT_EVIDENCE:
            self._metrics.entries.labels("ignored").inc()
            return None
        try:
            told = self._told(entry)
        except Exception as error:  # boundary: one entry must not stop the others
            self._metrics.entries.labels("unreadable").inc()
            why = str(error) if isinstance(error, AgoraError) else repr(error)
            log.warning("recording.entry_unreadable", stream_id=entry.stream_id, why=why[:200])
            return None
        if told is None:
            self._metrics.entries.labels("ignored").inc()
        return told

    def _told(self, entry: Entry) -> _Told | None:
        notice = read_notification(entry.data)
        if not notice.sid or not is_recording_event(notice.product_id, notice.event_type):
            return None
        if len(notice.sid) > MAX_SID:
            raise ValueError(f"sid of {len(notice.sid)} characters")
        details = decode_details(notice.product_id, notice.event_type, read_details(entry.data))
        sent_at = None if notice.send_ms is None else notice.send_ms / 1000
        evidence = of_event(notice.event_type, details, at=self._received(entry), sent_at=sent_at)
        if evidence is None:
            return None
        source = entry.source.removeprefix("/agora/") or DEFAULT_SOURCE
        return _Told(entry.stream_id, source, notice, evidence)

    def _received(self, entry: Entry) -> float:
        """When it reached us: not the future, whatever the entry says."""
        now = self._clock.now()
        return min(int(entry.receivedms) / 1000, now) if entry.receivedms.isdecimal() else now

    async def _fold(self, sid: str, group: Sequence[_Told]) -> list[str]:
        tally = Tally()

        def news(session: Session | None) -> Change:
            tally.clear()
            return Change(self._folded(session or _from_stream(group[0]), group, tally))

        try:
            session = await fold(
                self._ledger, sid, news, now=self._clock.now(), timings=self._timings
            )
        except ConflictError:
            self._metrics.entries.labels("deferred").inc(len(group))
            return []  # stays pending; taken again later
        except SessionUnreadableError as error:
            self._metrics.entries.labels("unreadable").inc(len(group))
            log.warning("recording.unreadable", sid=sid, why=error.why[:200])
            return [told.stream_id for told in group]
        except StoreError:
            raise
        except Exception as error:  # boundary: one recording must not stop the others
            self._metrics.entries.labels("unreadable").inc(len(group))
            log.exception("recording.fold_failed", sid=sid, why=repr(error))
            return [told.stream_id for told in group]
        self._metrics.entries.labels("folded").inc(len(group))
        tally.count(self._metrics)
        if session and tally.contradicted:
            log.error("recording.finding_contradicted", sid=sid, reason=session.closed_reason)
        if session and session.version == 1 and not session.registered:
            log.info("recording.unaskable", sid=sid, why="known only from the stream")
        return [told.stream_id for told in group]

    def _folded(self, session: Session, group: Sequence[_Told], tally: Tally) -> Session:
        for told in group:
            session = tally.observed(session, told.evidence)
            session = self._counted(session, told, tally)
        if not session.uid or not session.cname:
            session = _named(session, group[0].notice)
        return session

    def _counted(self, session: Session, told: _Told, tally: Tally) -> Session:
        """The session with the notification's number, where it has one."""
        notice = told.notice
        if notice.sequence is None or notice.service_type is None or session.closed_at is not None:
            return session
        session, counted = gaps.counted(
            session,
            uid=notice.uid or "",
            service=notice.service_type,
            number=notice.sequence,
            at=told.evidence.at,
            patience=self._timings.gap_patience,
        )
        tally.gap(counted)
        return session

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("recording.intake_interrupted", why=problem)
        elif self._problem and not problem:
            log.info("recording.intake_resumed", after=self._problem)
        self._problem = problem

    async def _pause(self, stop: asyncio.Event) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(RETRY)),
            asyncio.ensure_future(stop.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait


def _sid(told: _Told) -> str:
    return told.notice.sid or ""


def _from_stream(told: _Told) -> Session:
    """A recording that nobody registered: without a resource id it cannot be asked about."""
    notice, at = told.notice, told.evidence.at
    session = Session(sid=notice.sid or "", source=told.source, created_at=at, started_at=at)
    return _named(session, notice)


def _named(session: Session, notice: Notification) -> Session:
    return replace(
        session, cname=session.cname or notice.cname or "", uid=session.uid or notice.uid or ""
    )
