"""The loop body: ask, judge, remember; then for each target read, plan, guard, apply, read back.

A poll that fails changes nothing and is repeated soon. Targets are brought in line after every
poll, good or not: grace goes on, and what somebody else changed is put right. A target that fails
does not keep the others from theirs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from agora_sidecar.agora.errors import AddressListError
from agora_sidecar.process.clock import Clock
from scheduler.allowlist.addresses import Address, Book, in_order, make_room, observe, pass_time
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.book_file import BookFile, BookFileError
from scheduler.allowlist.guard import GuardError, Judged, check, judge, why_refused
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.plan import Plan, Wish, expressible, plan
from scheduler.allowlist.report import Outcome, describe, describe_target
from scheduler.allowlist.source import Source
from scheduler.allowlist.targets import Permit, Target, TargetError

log = structlog.get_logger()

FIRST_RETRY = 15.0
"""Seconds after a failure; doubled with each further one in a row, up to the usual interval."""
NO_LIST = "no list is known yet"

Publish = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is admitted and for how long; `grace` and `poll_interval` in seconds."""

    grace: float
    poll_interval: float
    max_entries: int
    accept_reserved: bool
    also_allow: Mapping[str, Address]

    @property
    def limit(self) -> int:
        """Addresses that targets are made for: a list, and as many that are leaving."""
        return 2 * self.max_entries


class Sync:
    """Keeps the book and brings the targets in line with it."""

    def __init__(
        self,
        *,
        source: Source,
        targets: Sequence[Target],
        rules: Rules,
        book_file: BookFile,
        audit: Audit,
        clock: Clock,
        metrics: AllowlistMetrics,
        publish: Publish | None = None,
    ) -> None:
        self._source = source
        self._targets = tuple(targets)
        self._rules = rules
        self._file = book_file
        self._audit = audit
        self._clock = clock
        self._metrics = metrics
        self._publish = publish
        self._book: Book | None = None
        self._aged_at = clock.monotonic()
        self._failures = self._rounds = 0
        self._outcomes: dict[str, Outcome] = {}
        self._counted: dict[str, dict[str, int]] = {}

    async def apply_last_known_good(self, cause: str = "start") -> None:
        """Bring the targets in line with what is on disk, before anything is asked."""
        if not self._aged().entries:
            await self._adopt()
        if self._aged().entries:
            await self._apply(cause=cause)

    async def run_once(self, cause: str = "schedule") -> float | None:
        """Poll and apply; returns the seconds to the next poll if it should come earlier."""
        polled = await self._poll(cause)
        if self._aged().entries:
            await self._save()
            await self._apply(cause=cause)
        if self._publish is not None:
            await self._publish(self.snapshot())
        self._failures = 0 if polled else self._failures + 1
        applied = all(self._in_sync(target) for target in self._targets)
        self._rounds = 0 if polled and applied else self._rounds + 1
        return self._next_round()

    async def plans(self) -> list[Outcome]:
        """What each target lacks now; changes nothing. Without a list nobody can tell."""
        if not self._aged().entries:
            return [Outcome(target.name, None, NO_LIST) for target in self._targets]
        return [await self._planned(target) for target in self._targets]

    async def uninstall(self) -> None:
        """Take away what is ours from every target. Raises TargetError."""
        for target in self._targets:
            await target.uninstall()

    def snapshot(self) -> dict[str, Any]:
        """The list, its age and the targets, for `/status` and the commands."""
        return describe(
            self._aged(),
            now=self._clock.now(),
            failed_polls=self._failures,
            also_allow=self._rules.also_allow,
            targets=[
                describe_target(target, self._outcomes.get(target.name), self._counted)
                for target in self._targets
            ],
        )

    def _aged(self) -> Book:
        """The book as of now; grace passes by the monotonic clock: a jump of dates costs none."""
        monotonic = self._clock.monotonic()
        if self._book is None:
            self._book = self._file.load(now=self._clock.now())
        else:
            self._book = pass_time(self._book, monotonic - self._aged_at)
        self._aged_at = monotonic
        return self._book

    def _wish(self, target: Target) -> Wish:
        book = self._aged()
        own = dict.fromkeys(self._rules.also_allow.values())
        wish = {**dict.fromkeys(book.active), **book.retiring, **own}
        return expressible(wish, timed=target.timed)

    def _in_sync(self, target: Target) -> bool:
        outcome = self._outcomes.get(target.name)
        return outcome is None or not outcome.problem

    def _next_round(self) -> float | None:
        """Soon after a failure, slower with each in a row; in time for the end of a grace."""
        usual = self._rules.poll_interval
        soon = [left for left in self._aged().retiring.values() if left < usual]
        if self._rounds:
            soon.append(min(FIRST_RETRY * 2.0 ** min(self._rounds - 1, 20), usual))
        return min(soon, default=None)

    async def _adopt(self) -> None:
        """Without a book, who is admitted now stays so until good polls say otherwise."""
        found: set[Address] = set()
        for target in self._targets:
            with suppress(TargetError):  # said when it is to be applied
                current = await target.read()
                if current and current.form == target.form:
                    found |= current.admitted.keys()
        reserved, own = self._rules.accept_reserved, self._rules.also_allow.values()
        found = {a for a in found if not why_refused(str(a), accept_reserved=reserved)} - set(own)
        if found:
            now = self._clock.now()
            book = observe(self._aged(), found, now=now, grace=self._rules.grace)
            book = make_room(book, (), limit=self._rules.limit)
            self._book = replace(book, last_good_poll=None)
            log.warning("allowlist.adopted", addresses=[str(a) for a in in_order(found)])
            await self._save()

    async def _poll(self, cause: str) -> bool:
        now = self._clock.now()
        try:
            answer = await self._source.ask()
            judged = judge(
                answer.values,
                max_entries=self._rules.max_entries,
                accept_reserved=self._rules.accept_reserved,
            )
        except AddressListError as error:
            self._failed(error, cause)
            return False
        self._learn(judged, cause=cause, digest=answer.digest, now=now)
        return True

    def _failed(self, error: AddressListError, cause: str) -> None:
        self._metrics.polls.labels(error.reason).inc()
        now = self._clock.now()
        self._audit.write("poll", now, cause=cause, result=error.reason, detail=error.detail)
        log.warning("allowlist.poll_failed", cause=cause, reason=error.reason, detail=error.detail)

    def _learn(self, judged: Judged, *, cause: str, digest: str, now: float) -> None:
        before = self._aged()
        listed, whole = judged.addresses, not judged.rejected
        seen = observe(before, listed, now=now, grace=self._rules.grace, whole=whole)
        book = make_room(seen, listed, limit=self._rules.limit)
        if evicted := seen.entries.keys() - book.entries.keys():
            # Before its time: max_entries is too small for how the vendor rotates
            log.warning("allowlist.evicted", addresses=[str(a) for a in in_order(evicted)])
        new = [str(a) for a in book.entries if a not in before.entries]
        if before.active and not set(before.active) & set(listed):
            log.info("allowlist.full_rotation", before=[str(a) for a in before.active], new=new)
        self._book = book
        for value, reason in judged.rejected:
            self._metrics.rejected.labels(reason).inc()
            log.warning("allowlist.entry_rejected", value=value, reason=reason)
        self._metrics.polls.labels("ok").inc()
        self._audit.write(
            "poll",
            now,
            cause=cause,
            result="ok",
            digest=digest,
            accepted=[str(a) for a in listed],
            rejected=[list(pair) for pair in judged.rejected],
        )
        log.info("allowlist.polled", cause=cause, listed=len(listed), new=new)

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self._file.save, self._aged(), now=self._clock.now())
        except BookFileError as error:  # those who are to be admitted are admitted all the same
            log.error("allowlist.book_not_saved", why=str(error))

    async def _apply(self, *, cause: str) -> None:
        book = self._aged()
        for target in self._targets:
            outcome = await self._brought_in_line(target, cause=cause)
            self._outcomes[target.name] = outcome
            self._metrics.in_sync.labels(target.name).set(not outcome.problem)
        self._metrics.revision.set(book.revision)
        self._metrics.last_good_poll.set(book.last_good_poll or 0)
        self._metrics.entries.labels("active").set(len(book.active))
        self._metrics.entries.labels("retiring").set(len(book.retiring))

    async def _planned(self, target: Target) -> Outcome:
        wish = self._wish(target)
        try:
            current = await target.read()
        except TargetError as error:
            return Outcome(target.name, None, error.why)
        return Outcome(target.name, plan(target.name, current, wish, form=target.form))

    async def _brought_in_line(self, target: Target, *, cause: str) -> Outcome:
        outcome = await self._planned(target)
        if outcome.plan is None:
            self._note(outcome, cause, result="failed")
            return outcome
        try:
            if not outcome.plan.empty:
                outcome = await self._changed(target, outcome.plan, cause=cause)
            await self._count(target)
        except GuardError as error:
            outcome = Outcome(target.name, outcome.plan, str(error))
            self._note(outcome, cause, result="refused")
        except TargetError as error:
            outcome = Outcome(target.name, outcome.plan, error.why)
            self._note(outcome, cause, result="failed")
        return outcome

    async def _changed(self, target: Target, change: Plan, *, cause: str) -> Outcome:
        book = self._aged()
        check(book.active, book.retiring, limit=self._rules.limit)
        wish = self._wish(target)
        await target.apply(wish, Permit(change.id))
        left = plan(target.name, await target.read(), wish, form=target.form)
        problem = "" if left.empty else f"read back with a difference: {left}"
        outcome = Outcome(target.name, change, problem)
        self._note(outcome, cause, result="failed" if problem else "ok")
        return outcome

    def _note(self, outcome: Outcome, cause: str, *, result: str) -> None:
        change = outcome.plan
        facts: dict[str, Any] = {"target": outcome.target, "cause": cause, "result": result}
        if change is not None:
            facts |= {
                "plan": change.id,
                "add": [str(a) for a in change.add],
                "retire": [str(a) for a in change.retire],
                "restore": [str(a) for a in change.restore],
                "remove": [str(a) for a in change.remove],
            }
        self._metrics.applied.labels(outcome.target, result).inc()
        self._audit.write("plan", self._clock.now(), problem=outcome.problem, **facts)
        if outcome.problem:
            log.error("allowlist.not_applied", why=outcome.problem, **facts)
        else:
            log.info("allowlist.applied", **facts)

    async def _count(self, target: Target) -> None:
        self._counted[target.name] = counted = await target.counted()
        for kind, number in counted.items():
            self._metrics.packets.labels(target.name, kind).set(number)
