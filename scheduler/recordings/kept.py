"""Registrations kept on disk as well: a store that came back empty gets them back.

Also one that was emptied while no scheduler ran. What a disk cannot keep is said and costs nothing
else. Who was away for longer than closed recordings stay in the ledger restores nothing: what is
not there may have been closed meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.recordings.kept_file import KeptFile
from scheduler.recordings.kept_record import (
    KeptUnreadableError,
    from_line,
    gone_line,
    to_line,
    with_facts,
)
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    Ledger,
    SessionUnreadableError,
)
from scheduler.recordings.session import Session
from scheduler.recordings.timeline import Kind, Note, noted

log = structlog.get_logger()

MAX_KEPT = 20_000
"""Recordings on disk: twice what any account can have open. Of more, the oldest go."""
TOUCH = 600.0
"""Seconds between signs of life in the file's date."""
AT_A_TIME = 500
"""Recordings compared with the ledger in one go: who makes one known waits no longer than that."""
PRUNE = 3600.0
"""Seconds between looks for what others have closed."""


class Kept:
    """The registrations of one ledger on disk. No method raises for the disk's sake."""

    def __init__(self, path: Path, *, ledger: Ledger, keep: float, clock: Clock) -> None:
        self.problem = ""
        self._file = KeptFile(path)
        self._ledger = ledger
        self._keep = keep
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read = False
        self._away = 0.0
        self._pending = True
        self._to_compare: list[str] = []
        self._touch_at = 0.0
        self._prune_at = 0.0

    def __len__(self) -> int:
        """How many recordings are kept."""
        return len(self._file.lines)

    async def note(self, session: Session) -> None:
        """Keep what is new about a recording; one that is over is dropped."""
        if not session.registered:
            return
        if session.told:
            await self.drop(session.sid)
            return
        line = to_line(session)
        async with self._lock:
            await self._open()
            if self._file.lines.get(session.sid) != line:
                await self._on_disk(self._file.append, session.sid, line)
                await self._bound()

    async def owe(self, session: Session) -> None:
        """Keep one that the ledger could not take; it gets it as soon as it can."""
        await self.note(session)
        self._pending = True

    async def drop(self, sid: str) -> None:
        """Keep it no longer."""
        async with self._lock:
            await self._open()
            if sid in self._file.lines:
                await self._on_disk(lambda: self._file.append(sid, gone_line(sid), gone=True))

    async def tend(self, *, emptied: bool) -> None:
        """What is to be done now and then: give back, drop what is over, show signs of life.

        Raises:
            StoreError: it will be tried again.
        """
        now = self._clock.monotonic()
        async with self._lock:
            await self._open()
            if emptied or self._pending or now >= self._prune_at:
                self._to_compare = list(self._file.lines)
                self._pending, self._prune_at = False, now + PRUNE
            # who was away too long drops them at once: from then on the file's date says otherwise
            some = AT_A_TIME if self._away <= self._keep else len(self._to_compare)
            if self._to_compare:
                await self._compare(self._to_compare[-some:])
                del self._to_compare[-some:]
                self._away = 0.0
            if now >= self._touch_at and self._file.lines:
                await self._on_disk(self._file.touch)
                self._touch_at = now + TOUCH

    async def _open(self) -> None:
        if self._read:
            return
        self._read = True
        self._away = await self._on_disk(lambda: self._file.age(self._clock.now())) or 0.0
        found = await self._on_disk(lambda: self._file.read(_name_of))
        if found and found[0]:
            damaged, aside = found
            log.error("recording.kept_damaged", lines=damaged, aside=str(aside))

    async def _compare(self, sids: Sequence[str]) -> None:
        """Give back what the ledger lacks, drop what is over."""
        absent = set(await self._ledger.absent(sids))
        over: list[str] = []
        restored = 0
        for sid in sids:
            if sid not in self._file.lines:  # over meanwhile
                continue
            if sid not in absent:
                over += [sid] if await self._is_over(sid) else []
            elif self._away > self._keep:
                over.append(sid)
            else:
                restored += await self._restore(sid)
        if over:
            await self._on_disk(self._file.drop, over)
        if restored:
            log.warning("recording.restored_from_disk", recordings=restored)

    async def _is_over(self, sid: str) -> bool:
        """Whether the ledger is done with it; what the stream alone told gets the facts."""
        try:
            session = await self._ledger.load(sid)
            if session is not None and not session.told and not session.registered:
                joined = with_facts(session, from_line(self._file.lines[sid])[1])
                now = self._clock.now()
                await self._ledger.save(Change(joined), due=now, now=now)
        except (SessionUnreadableError, ConflictError):
            return False
        return session is None or session.told

    async def _restore(self, sid: str) -> int:
        _, session = from_line(self._file.lines[sid])
        now = self._clock.now()
        if session is None:
            return 0
        note = Note(now, Kind.DECISION, "restored from disk: the store had lost it")
        session = replace(session, timeline=noted(session.timeline, note))
        try:
            await self._ledger.save(Change(session), due=now, now=now)
        except ConflictError:
            return 0
        return 1

    async def _bound(self) -> None:
        if len(self._file.lines) > MAX_KEPT:
            oldest = list(self._file.lines)[: len(self._file.lines) - MAX_KEPT]
            log.error("recording.too_many_kept", dropped=len(oldest))
            await self._on_disk(self._file.drop, oldest)

    async def _on_disk(self, work: Callable[..., Any], *args: Any) -> Any:
        try:
            done = await asyncio.to_thread(work, *args)
        except OSError as error:
            why = error.strerror or repr(error)
            if not self.problem:
                log.error("recording.not_kept", path=str(self._file.path), why=why)
            self.problem = why
            return None
        self.problem = ""
        return done


def _name_of(line: bytes) -> tuple[str, bool]:
    try:
        sid, session = from_line(line)
    except KeptUnreadableError as error:
        raise ValueError from error
    return sid, session is None
