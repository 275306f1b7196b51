"""Keeps the book: learns from answers, lets time pass, puts it on disk and takes it up again.

Nothing here touches a target. Grace passes by the monotonic clock while we run: a jump of dates
costs none; what the wall clock says counts between a stop and a start, and forward alone.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.addresses import (
    Address,
    Book,
    Held,
    in_order,
    make_room,
    observe,
    pass_time,
    restore,
    turned_over,
    without,
)
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.book_file import BookFile, BookFileError
from scheduler.allowlist.guard import Judged, why_refused
from scheduler.allowlist.holding import consider
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.rules import Rules
from scheduler.allowlist.source import Answer

log = structlog.get_logger()


class Keeper:
    """The book as of now."""

    def __init__(
        self,
        *,
        rules: Rules,
        book_file: BookFile,
        audit: Audit,
        clock: Clock,
        metrics: AllowlistMetrics,
    ) -> None:
        self.rules = rules
        self._file = book_file
        self._audit = audit
        self._clock = clock
        self._metrics = metrics
        self._book: Book | None = None
        self._aged_at = clock.monotonic()
        self._kept = -1

    @property
    def book(self) -> Book:
        """The book as of now."""
        monotonic = self._clock.monotonic()
        if self._book is None:
            self._book = self._allowed(self._file.load(now=self._clock.now()))
        else:
            self._book = pass_time(self._book, monotonic - self._aged_at)
        self._aged_at = monotonic
        return self._book

    @property
    def revisions(self) -> list[int]:
        """Earlier books that can be gone back to, oldest first."""
        return self._file.kept()

    def learn(self, judged: Judged, answer: Answer, *, cause: str) -> list[Address]:
        """Take up a good answer; who is admitted from now on and was not before."""
        before, now = self.book, self._clock.now()
        considered = consider(
            before, judged.addresses, host=answer.host, now=now, limits=self.rules.oddities
        )
        book = before
        if considered.listed:
            book = self._observed(before, judged, considered.listed, waits=considered.held)
        self._book = replace(book, held=considered.held, last_good_poll=now)
        new = [address for address in book.entries if address not in before.entries]
        if turned_over(before, considered.listed) and considered.listed:
            active = [str(a) for a in before.active]
            log.info("allowlist.full_rotation", before=active, new=[str(a) for a in new])
        self._tell(judged, answer, new=new, cause=cause)
        return new

    def accept(self, name: str) -> bool:
        """Admit what is held under this name after all; whether there is such a thing."""
        book = self.book
        if book.held is None or book.held.id != name:
            return False
        listed = book.held.addresses
        seen = observe(book, listed, now=self._clock.now(), grace=self.rules.grace, whole=False)
        self._book = replace(make_room(seen, listed, limit=self.rules.limit), held=None)
        return True

    def go_back(self, revision: int) -> bool:
        """Admit whom an earlier revision admitted; whether there is such a one."""
        earlier = self._allowed(self._file.load_kept(revision) or Book())
        if not earlier.active:
            return False
        self._book = restore(self.book, earlier)
        return True

    async def adopt(self, found: Collection[Address]) -> None:
        """Without a book, who is admitted now stays so until good polls say otherwise."""
        reserved, own = self.rules.accept_reserved, self.rules.also_allow.values()
        found = {a for a in found if not why_refused(str(a), accept_reserved=reserved)} - set(own)
        if found:
            book = observe(self.book, found, now=self._clock.now(), grace=self.rules.grace)
            book = make_room(book, (), limit=self.rules.limit)
            self._book = replace(book, last_good_poll=None)
            log.warning("allowlist.adopted", addresses=[str(a) for a in in_order(found)])
            await self.save()

    async def save(self) -> None:
        """Put it on disk; those who are to be admitted are admitted all the same if it fails."""
        book, now = self.book, self._clock.now()
        try:
            await asyncio.to_thread(self._file.save, book, now=now)
            if book.revision != self._kept:
                await asyncio.to_thread(self._file.keep, book, now=now)
                self._kept = book.revision
        except BookFileError as error:
            log.error("allowlist.book_not_saved", why=str(error))

    def _allowed(self, book: Book) -> Book:
        """Without whom the settings of today refuse: they may have been others then."""
        reserved = self.rules.accept_reserved
        everybody = {*book.entries, *(book.held.addresses if book.held else ())}
        refused = {a for a in everybody if why_refused(str(a), accept_reserved=reserved)}
        if refused:
            log.warning("allowlist.refused_now", addresses=[str(a) for a in in_order(refused)])
        return without(book, refused) if refused else book

    def _observed(
        self, before: Book, judged: Judged, listed: Collection[Address], *, waits: Held | None
    ) -> Book:
        whole = not judged.rejected and waits is None
        seen = observe(before, listed, now=self._clock.now(), grace=self.rules.grace, whole=whole)
        book = make_room(seen, listed, limit=self.rules.limit)
        if evicted := seen.entries.keys() - book.entries.keys():
            # Before its time: max_entries is too small for how the vendor rotates
            log.warning("allowlist.evicted", addresses=[str(a) for a in in_order(evicted)])
        return book

    def _tell(
        self, judged: Judged, answer: Answer, *, new: Collection[Address], cause: str
    ) -> None:
        for value, reason in judged.rejected:
            self._metrics.rejected.labels(reason).inc()
            log.warning("allowlist.entry_rejected", value=value, reason=reason)
        self._metrics.polls.labels("ok").inc()
        held = self.book.held
        facts = {} if held is None else {"held": held.id, "why": held.why}
        self._audit.write(
            "poll",
            self._clock.now(),
            cause=cause,
            result="ok",
            host=answer.host,
            paths=answer.paths,
            digest=answer.digest,
            accepted=[str(a) for a in judged.addresses],
            rejected=[list(pair) for pair in judged.rejected],
            **facts,
        )
        if held is not None:
            waiting = [str(a) for a in held.addresses]
            log.error("allowlist.held", plan=held.id, why=held.why, addresses=waiting)
        shown = [str(a) for a in new]
        log.info("allowlist.polled", cause=cause, listed=len(judged.addresses), new=shown)
