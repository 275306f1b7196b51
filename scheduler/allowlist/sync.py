"""The loop body: ask, judge, remember, then bring the targets in line; and what others ask of it.

A poll that fails changes nothing and is repeated soon. Targets are brought in line after every
poll, good or not: grace goes on, and what somebody else changed is put right. While it is frozen,
polls go on and targets are only looked at.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from agora_sidecar.agora.errors import AddressListError
from agora_sidecar.process.clock import Clock
from scheduler.allowlist.alarm import LEVELS, alarm
from scheduler.allowlist.applier import Applier, Goal
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.guard import Judged, judge
from scheduler.allowlist.keeper import Keeper
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.orders import Orders
from scheduler.allowlist.readiness import Evidence, against_enforcing, front
from scheduler.allowlist.report import Outcome, describe
from scheduler.allowlist.sightings import Sightings
from scheduler.allowlist.source import Answer, Source
from scheduler.allowlist.targets import Target

log = structlog.get_logger()

FIRST_RETRY = 15.0
"""Seconds after a failure; doubled with each further one in a row, up to the usual interval."""
FIRST_RETRY_PART = 0.25
"""Of the usual interval, which is shorter than that in tests and in the demo."""

Publish = Callable[[dict[str, Any]], Awaitable[None]]


class Sync:
    """Polls, and brings the targets in line with the book."""

    def __init__(
        self,
        *,
        source: Source,
        keeper: Keeper,
        applier: Applier,
        orders: Orders,
        sightings: Sightings,
        audit: Audit,
        clock: Clock,
        metrics: AllowlistMetrics,
        publish: Publish | None = None,
    ) -> None:
        self.keeper = keeper
        self.applier = applier
        self.orders = orders
        self.sightings = sightings
        self.audit = audit
        self._source = source
        self._clock = clock
        self.metrics = metrics
        self._publish = publish
        self._failures = self._rounds = 0
        self._causes: dict[str, None] = {}
        self._turn = asyncio.Lock()
        self._alarm = ""

    async def apply_last_known_good(
        self, cause: str = "start", *, which: Callable[[Target], bool] = lambda _: True
    ) -> None:
        """Bring these targets in line with what is on disk, before anything is asked."""
        await self.take_up()
        await self.bring_in_line(cause=cause, which=which)

    async def take_up(self) -> bool:
        """Have a list: the one on disk, else whom the targets admit; whether there is one."""
        if not self.keeper.book.entries:
            await self.keeper.adopt(await self.applier.admitted())
        return bool(self.keeper.book.entries)

    def ask(self, cause: str) -> None:
        """The next poll has this reason besides its own."""
        self._causes[cause] = None

    async def run_once(
        self, cause: str = "schedule", *, which: Callable[[Target], bool] = lambda _: True
    ) -> float | None:
        """Poll and apply; returns the seconds to the next poll if it should come earlier."""
        causes, self._causes = self._causes or {cause: None}, {}
        reason = "+".join(causes)
        polled = await self._asked(reason)
        async with self._turn:
            if polled is not None:
                self._learn(*polled, cause=reason)
            if self.keeper.book.entries:
                await self.keeper.save()
                await self._apply(reason, lambda target: which(target) and not target.shared)
        if self.keeper.book.entries:
            await self._apply(reason, lambda target: which(target) and target.shared)
        self.sightings.save()
        self._failures = 0 if polled is not None else self._failures + 1
        held = self.keeper.book.held is not None
        well = polled is not None and not held and not self.out_of_sync
        self._rounds = 0 if well else self._rounds + 1
        self.watch_age()
        await self.publish()
        return self._next_round()

    async def bring_in_line(
        self, *, cause: str, which: Callable[[Target], bool] = lambda _: True
    ) -> list[Outcome]:
        """Let the targets have what the book says; while frozen, only look.

        What machines share comes last and out of turn: whoever watches over this machine's
        firewall does not wait for a cloud.
        """
        async with self._turn:
            found = await self._apply(cause, lambda target: which(target) and not target.shared)
        return found + await self._apply(cause, lambda target: which(target) and target.shared)

    async def _apply(
        self, cause: str, which: Callable[[Target], bool] = lambda _: True
    ) -> list[Outcome]:
        found: list[Outcome] = []
        if self.orders.frozen:
            await self.applier.look(self.goal(), which)
        elif self.keeper.book.entries:
            found = await self.applier.apply(self.goal, cause=cause, which=which)
        self._measure()
        return found

    async def plans(self) -> list[Outcome]:
        """What each target lacks now; changes nothing. Without a list nobody can tell."""
        return await self.applier.plans(self.goal())

    async def look(self) -> list[Outcome]:
        """What each target lacks now, noted as how it stands; changes nothing."""
        outcomes = await self.plans()
        self.applier.note(outcomes)
        return outcomes

    async def publish(self) -> None:
        """Tell readers."""
        if self._publish is not None:
            await self._publish(self.snapshot())

    def goal(self) -> Goal:
        """What targets are to be brought to now."""
        return Goal(self.keeper.book, self.orders.open_left)

    def watch_age(self) -> str:
        """late, stale, critical or nothing; said in the log when it becomes another."""
        asked = self._age() is not None or self._failures
        level = self._level() if asked else ""  # at a first start there is no list to be old
        self.metrics.alarm.set(LEVELS[level])
        if LEVELS[level] > LEVELS[self._alarm]:
            log.error("allowlist.list_old", level=level, age=self._age(), failed=self._failures)
        elif self._alarm and not level:
            log.info("allowlist.list_fresh", after=self._alarm)
        self._alarm = level
        return level

    @property
    def out_of_sync(self) -> list[str]:
        """Names of the targets that are not as they should be, as far as is known."""
        return [name for name, outcome in self.applier.outcomes.items() if outcome.problem]

    @property
    def failures(self) -> int:
        """Polls in a row that failed."""
        return self._failures

    def snapshot(self) -> dict[str, Any]:
        """The list, its age, the targets and what was seen, for `/status` and the commands."""
        standing = self.orders.standing
        shown = describe(
            self.keeper.book,
            now=self._clock.now(),
            failed_polls=self._failures,
            also_allow=self.keeper.rules.also_allow,
            packets=self.applier.packets,
            targets=self.applier.targets,
            outcomes=self.applier.outcomes,
            counted=self.applier.counted,
        )
        reasons = self.against_enforcing()
        return shown | {
            "alarm": self._level(),
            "frozen": None
            if standing.frozen_at is None
            else {"since": standing.frozen_at, "until": standing.frozen_until, "why": standing.why},
            "openUntil": standing.open_until,
            "decisions": self.audit.recent(),
            **self.sightings.shown(),
            "enforcing": {"safe": not reasons, "against": reasons},
        }

    def against_enforcing(self, findings: tuple[str, ...] = ()) -> list[str]:
        """Every reason not to enforce yet; `findings` are what was found besides."""
        seen, book = self.sightings.seen, self.keeper.book
        before = front({text: source.packets for text, source in seen.sources.items()})
        evidence = Evidence(
            observed=self._clock.now() - seen.since,
            rotations=seen.rotations,
            deliveries=self.sightings.deliveries(),
            authentic=[text for text, source in seen.sources.items() if source.authentic],
            alarm=self._level(),
            out_of_sync=self.out_of_sync,
            held=book.held is not None,
            findings=(*((before,) if before else ()), *findings),
        )
        return against_enforcing(evidence)

    async def _asked(self, cause: str) -> tuple[Judged, Answer] | None:
        rules, held = self.keeper.rules, self.keeper.book.held
        try:
            answer = await self._source.ask(avoid=held.host if held else "")
            judged = judge(
                answer.values,
                max_entries=rules.max_entries,
                accept_reserved=rules.accept_reserved,
            )
        except AddressListError as error:
            self._failed(error, cause)
            return None
        return judged, answer

    def _learn(self, judged: Judged, answer: Answer, *, cause: str) -> None:
        active = set(self.keeper.book.active)
        new = self.keeper.learn(judged, answer, cause=cause)
        if new and active - set(judged.addresses):
            self.sightings.rotated()
        if not self.orders.frozen:
            self.sightings.listed(new)

    def _failed(self, error: AddressListError, cause: str) -> None:
        self.metrics.polls.labels(error.reason).inc()
        now = self._clock.now()
        self.audit.write("poll", now, cause=cause, result=error.reason, detail=error.detail)
        log.warning("allowlist.poll_failed", cause=cause, reason=error.reason, detail=error.detail)

    def _next_round(self) -> float | None:
        """Soon after a failure, slower with each in a row; in time for the end of a grace."""
        usual = self.keeper.rules.poll_interval
        soon = [left for left in self.keeper.book.retiring.values() if left < usual]
        if self._rounds:
            first = min(FIRST_RETRY, usual * FIRST_RETRY_PART)
            soon.append(min(first * 2.0 ** min(self._rounds - 1, 20), usual))
        return min(soon, default=None)

    def _age(self) -> float | None:
        good = self.keeper.book.last_good_poll
        return None if good is None else max(0.0, self._clock.now() - good)

    def _level(self) -> str:
        return alarm(self._age(), interval=self.keeper.rules.poll_interval)

    def _measure(self) -> None:
        book = self.keeper.book
        self.metrics.revision.set(book.revision)
        self.metrics.last_good_poll.set(book.last_good_poll or 0)
        self.metrics.entries.labels("active").set(len(book.active))
        self.metrics.entries.labels("retiring").set(len(book.retiring))
        self.metrics.held.set(len(book.held.addresses) if book.held else 0)
        self.metrics.frozen.set(self.orders.frozen)
        self.metrics.open_seconds.set(self.orders.open_left)
