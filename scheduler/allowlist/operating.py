"""What a request of the operator's does, in the scheduler that runs or in the command itself."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.applier import NO_LIST
from scheduler.allowlist.mailbox import Answer, Mailbox, Request
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.sync import Sync

log = structlog.get_logger()

LONGEST_OPEN = 24 * 3600.0
"""Seconds for which everybody may be let in at most: longer is a decision for the settings."""


class RefusedError(Exception):
    """A request that is not carried out; the message says why."""


class Operating:
    """Carries out requests, one at a time, each with a record of who asked."""

    def __init__(self, sync: Sync, *, clock: Clock) -> None:
        self._sync = sync
        self._clock = clock
        self._kinds: dict[str, Callable[[Request], Awaitable[str]]] = {
            "poll": self._poll,
            "apply": self._apply,
            "accept": self._accept,
            "freeze": self._freeze,
            "unfreeze": self._unfreeze,
            "open": self._open,
            "close": self._close,
            "rollback": self._rollback,
        }

    async def serve(self, mailbox: Mailbox) -> None:
        """Carry out what waits there."""
        for name, request in mailbox.requests(now=self._clock.now()):
            mailbox.answer(name, await self.carry_out(request))

    async def carry_out(self, request: Request) -> Answer:
        """Do it, and say what became of it; never raises."""
        try:
            text, done = await self._kinds[request.kind](request), True
        except RefusedError as error:
            text, done = str(error), False
        except OSError as error:
            text, done = f"cannot be written down: {error.strerror}", False
        except Exception as error:  # boundary: a bug in one request must not stop the loop
            log.exception("allowlist.request_failed", kind=request.kind, why=repr(error))
            text, done = f"failed: {error!r}", False
        facts: dict[str, Any] = {"order": request.kind, "actor": request.actor, "result": text}
        facts |= {"argument": request.argument} if request.argument else {}
        self._sync.audit.write("order", self._clock.now(), done=done, **facts)
        log.warning("allowlist.ordered", done=done, **facts)
        return Answer(done, text)

    async def _poll(self, _: Request) -> str:
        await self._sync.run_once("manual")
        if self._sync.failures:
            raise RefusedError("the vendor gave no usable list; see allowlist.poll_failed")
        return f"polled: {len(self._sync.keeper.book.active)} addresses are active"

    async def _apply(self, request: Request) -> str:
        self._not_frozen()
        if not await self._sync.take_up():
            raise RefusedError(NO_LIST)
        if request.argument:
            plans = [o.plan.id for o in await self._sync.plans() if o.plan and not o.plan.empty]
            if request.argument not in plans:
                raise RefusedError(f"no target has the plan {request.argument} now; see `plan`")
        return await self._brought_in_line("manual")

    async def _accept(self, request: Request) -> str:
        held = self._sync.keeper.book.held
        if held is None or not self._sync.keeper.accept(request.argument):
            return await self._apply(request)
        self._sync.sightings.listed(held.addresses)
        await self._sync.keeper.save()
        if self._sync.orders.frozen:
            return "accepted; applied as soon as it is no longer frozen"
        return await self._brought_in_line("accepted")

    async def _freeze(self, request: Request) -> str:
        self._sync.orders.freeze(request.argument, seconds=request.seconds)
        return "frozen: targets are left alone, polls go on; elements that are retiring still end"

    async def _unfreeze(self, _: Request) -> str:
        self._sync.orders.unfreeze()
        return f"no longer frozen; {await self._brought_in_line('unfreeze')}"

    async def _open(self, request: Request) -> str:
        seconds = request.seconds or 0.0
        if not 0 < seconds <= LONGEST_OPEN:
            raise RefusedError(f"--for must be above 0 and at most {LONGEST_OPEN / 3600:.0f}h")
        self._not_frozen()
        self._sync.orders.open(seconds)
        stood = await self._brought_in_line("open")
        return f"open to everybody for {seconds:.0f} s where targets can be opened; {stood}"

    async def _close(self, _: Request) -> str:
        self._not_frozen()  # or the port would stay open, and nothing would say so
        self._sync.orders.open(0.0)
        return f"closed but for the list; {await self._brought_in_line('close')}"

    async def _rollback(self, request: Request) -> str:
        revision = int(request.argument) if request.argument.isdecimal() else -1
        if not self._sync.keeper.go_back(revision):
            known = ", ".join(map(str, self._sync.keeper.revisions)) or "none"
            raise RefusedError(
                f"there is no revision {request.argument} to go back to; known: {known}"
            )
        await self._sync.keeper.save()
        self._sync.orders.unfreeze()
        try:
            stood = await self._brought_in_line("rollback")
        finally:  # also where a target fails: the next poll would put everything back as it was
            self._sync.orders.freeze(f"rolled back to revision {revision}", seconds=None)
        return f"rolled back to revision {revision}, and frozen until `unfreeze`; {stood}"

    async def _brought_in_line(self, cause: str) -> str:
        outcomes = await self._sync.bring_in_line(cause=cause)
        await self._sync.publish()
        problems = [f"{o.target}: {o.problem}" for o in outcomes if o.problem]
        if problems:
            raise RefusedError("; ".join(problems))
        return _stood(outcomes)

    def _not_frozen(self) -> None:
        if self._sync.orders.frozen:
            raise RefusedError("frozen; `agora-sidecar allowlist unfreeze` first")


def _stood(outcomes: list[Outcome]) -> str:
    return ", ".join(f"{o.target} in sync" for o in outcomes) or "no targets are configured"
