"""Brings targets in line with the book: read, plan, guard, apply, read back, record.

A target that fails does not keep the others from theirs. What belongs to this machine is written by
its own scheduler; what machines share only by the one that leads, under a permit that ends with the
lease. Every round starts from what a target says, never from memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.allowlist.addresses import Address, Book
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.guard import GuardError, check
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.plan import Plan, Wish, expressible, plan
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.rules import Rules
from scheduler.allowlist.targets import OfFamilies, Permit, Target, TargetError

log = structlog.get_logger()

NO_LIST = "no list is known yet"
FOLLOWS = "not written from here: another scheduler leads, or none can (the store is away)"
BOTH = (4, 6)
"""Families of addresses."""
OPEN_WITHIN = 2.0
"""Seconds by which an opening may differ from what was ordered."""

Which = Callable[[Target], bool]


class Leads(Protocol):
    """Who may write to what machines share."""

    @property
    def fence(self) -> int | None:
        """The fencing number while we lead."""
        ...

    @property
    def length(self) -> float:
        """Seconds for which leading lasts if it is not renewed."""
        ...

    async def hold(self) -> int | None:
        """Acquire or renew. Raises StoreError."""
        ...

    async def release(self) -> None:
        """Let somebody else lead at once. Raises StoreError."""
        ...


@runtime_checkable
class Opens(Protocol):
    """A target that can let everybody in for a time, and ends that by itself."""

    async def open(self, seconds: float) -> None:
        """Let everybody in for so long; zero ends it. Raises TargetError."""
        ...

    async def opened(self) -> float:
        """For how many seconds more it does. Raises TargetError."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A target that counts packets for each address."""

    async def packets(self) -> Mapping[Address, int]:
        """New connections, or packets, from each address. Raises TargetError."""
        ...


@dataclass(frozen=True, slots=True)
class Goal:
    """What targets are to be brought to: the book, and whether everybody is let in meanwhile."""

    book: Book
    open_left: float = 0.0


class Applier:
    """Reads and writes the targets, one round at a time."""

    def __init__(
        self,
        *,
        targets: Sequence[Target],
        rules: Rules,
        audit: Audit,
        clock: Clock,
        metrics: AllowlistMetrics,
        leads: Leads | None = None,
    ) -> None:
        self.targets = tuple(targets)
        self.outcomes: dict[str, Outcome] = {}
        self.counted: dict[str, dict[str, int]] = {}
        self.packets: dict[Address, int] = {}
        self._rules = rules
        self._audit = audit
        self._clock = clock
        self._metrics = metrics
        self._leads = leads
        self._busy = {target.name: asyncio.Lock() for target in targets}

    async def plans(self, goal: Goal, which: Which = lambda _: True) -> list[Outcome]:
        """What each of these targets lacks now; changes nothing. Without a list nobody can tell."""
        targets = filter(which, self.targets)
        if not goal.book.entries:
            return [Outcome(target.name, None, NO_LIST) for target in targets]
        return [await self._planned(target, goal) for target in targets]

    async def look(self, goal: Goal, which: Which = lambda _: True) -> None:
        """Note how each of these targets stands while it is frozen; change nothing."""
        self.note(await self.plans(goal, which), lacking="frozen, and not as it should be")

    def note(self, outcomes: Sequence[Outcome], *, lacking: str = "not as it should be") -> None:
        """Remember that these targets stand so; `lacking`: the problem of one that lacks."""
        for outcome in outcomes:
            lacks = lacking if outcome.plan and not outcome.plan.empty else ""
            self._remember(replace(outcome, problem=outcome.problem or lacks))

    async def apply(
        self, goal: Callable[[], Goal], *, cause: str, which: Which = lambda _: True
    ) -> list[Outcome]:
        """Bring these targets in line; how each stands. `goal` is asked for each of them anew.

        One that takes its time keeps nobody from bringing another one in line meanwhile.
        """
        found = []
        for target in filter(which, self.targets):
            async with self._busy[target.name]:
                outcome = await self._surely(target, goal(), cause=cause)
            self._remember(outcome)
            found.append(outcome)
        return found

    async def admitted(self) -> set[Address]:
        """Whom targets of the right form admit now."""
        found: set[Address] = set()
        for target in self.targets:
            with suppress(TargetError):  # said when it is to be applied
                current = await target.read()
                if current and current.form == target.form:
                    found |= current.admitted.keys()
        return found

    async def uninstall(self) -> None:
        """Take away what is ours from every target that can. Raises TargetError: not from all."""
        failed: list[TargetError] = []
        for target in self.targets:
            try:
                await target.uninstall()
            except TargetError as error:
                failed.append(error)
        if failed:
            raise TargetError(failed[0].target, "; ".join([failed[0].why, *map(str, failed[1:])]))

    async def step_down(self) -> None:
        """Let somebody else lead at once, if we do."""
        if self._leads is not None:
            with suppress(StoreError):  # it runs out by itself
                await self._leads.release()

    async def _planned(self, target: Target, goal: Goal) -> Outcome:
        now = self._clock.now()
        try:
            current = await target.read()
        except TargetError as error:
            return Outcome(target.name, None, error.why, now)
        change = plan(target.name, current, self._wish(target, goal), form=target.form)
        return Outcome(target.name, change, "", now)

    async def _surely(self, target: Target, goal: Goal, *, cause: str) -> Outcome:
        try:
            return await self._brought_in_line(target, goal, cause=cause)
        except Exception as error:  # boundary: a bug in one must not keep the others from theirs
            log.exception("allowlist.target_failed", target=target.name, why=repr(error))
            return Outcome(target.name, None, f"failed: {error!r}"[:300], self._clock.now())

    async def _brought_in_line(self, target: Target, goal: Goal, *, cause: str) -> Outcome:
        outcome = await self._planned(target, goal)
        if outcome.plan is None:
            self._note(outcome, cause, result="failed")
            return outcome
        try:
            if not outcome.plan.empty:
                outcome = await self._changed(target, goal, outcome.plan, cause=cause)
            await self._open(target, goal)
            await self._count(target)
        except (GuardError, TargetError) as error:
            why = error.why if isinstance(error, TargetError) else str(error)
            outcome = Outcome(target.name, outcome.plan, why, self._clock.now())
            refused = isinstance(error, GuardError)
            self._note(outcome, cause, result="refused" if refused else "failed")
        return outcome

    async def _changed(self, target: Target, goal: Goal, change: Plan, *, cause: str) -> Outcome:
        check(goal.book.active, goal.book.retiring, limit=self._rules.limit)
        if not target.shared:
            return await self._written(target, goal, change, permit=Permit(change.id), cause=cause)
        async with self._leading() as epoch:
            if epoch is None:  # it stays as it is; a listed address that is missing there is said
                problem = FOLLOWS if change.add else ""
                return Outcome(target.name, change, problem, self._clock.now())
            leads = self._leads
            lasts = lambda: leads is not None and leads.fence == epoch  # noqa: E731 - a value
            permit = Permit(change.id, epoch, lasts)
            return await self._written(target, goal, change, permit=permit, cause=cause)

    async def _written(
        self, target: Target, goal: Goal, change: Plan, *, permit: Permit, cause: str
    ) -> Outcome:
        before = self._clock.monotonic()
        wish = self._wish(target, goal)
        await target.apply(wish, permit)
        left = plan(target.name, await target.read(), wish, form=target.form)
        problem = "" if left.empty else f"read back with a difference: {left}"
        outcome = Outcome(target.name, change, problem, self._clock.now())
        took = round(self._clock.monotonic() - before, 4)
        self._note(outcome, cause, result="failed" if problem else "ok", took=took, permit=permit)
        return outcome

    @asynccontextmanager
    async def _leading(self) -> AsyncIterator[int | None]:
        """The fencing number while we lead, renewed meanwhile; None if somebody else does."""
        if self._leads is None:
            yield None
            return
        try:
            epoch = await self._leads.hold()
        except StoreError:
            epoch = None
        renewing = asyncio.create_task(self._renew(self._leads))
        try:
            yield epoch
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, leads: Leads) -> None:
        while True:
            await self._clock.sleep(leads.length / 3)
            with suppress(StoreError):  # it runs out by itself
                await leads.hold()

    async def _open(self, target: Target, goal: Goal) -> None:
        if isinstance(target, Opens):
            opened = await target.opened()
            if abs(opened - goal.open_left) > OPEN_WITHIN or bool(opened) != bool(goal.open_left):
                await target.open(goal.open_left)

    async def _count(self, target: Target) -> None:
        self.counted[target.name] = counted = await target.counted()
        for kind, number in counted.items():
            self._metrics.packets.labels(target.name, kind).set(number)
        if isinstance(target, Counts):
            self.packets.update(await target.packets())

    def _wish(self, target: Target, goal: Goal) -> Wish:
        own = dict.fromkeys(self._rules.also_allow.values())
        wish = {**dict.fromkeys(goal.book.active), **goal.book.retiring, **own}
        versions = target.versions if isinstance(target, OfFamilies) else BOTH
        return expressible(wish, timed=target.timed, versions=versions)

    def _remember(self, outcome: Outcome) -> None:
        self.outcomes[outcome.target] = outcome
        self._metrics.in_sync.labels(outcome.target).set(not outcome.problem)

    def _note(
        self,
        outcome: Outcome,
        cause: str,
        *,
        result: str,
        took: float | None = None,
        permit: Permit | None = None,
    ) -> None:
        change = outcome.plan
        facts: dict[str, Any] = {"target": outcome.target, "cause": cause, "result": result}
        if change is not None:
            facts |= {"plan": change.id, **change.changes()}
        if permit is not None:
            facts |= {"epoch": permit.epoch, "seconds": took}
        self._metrics.applied.labels(outcome.target, result).inc()
        self._audit.write("plan", self._clock.now(), problem=outcome.problem, **facts)
        if outcome.problem:
            log.error("allowlist.not_applied", why=outcome.problem, **facts)
        else:
            log.info("allowlist.applied", **facts)
