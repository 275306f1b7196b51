"""Rules of ours broken on purpose: what the oracle must find, each by its name."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from scheduler.recordings import decide, evidence, patience, reconcile, telling
from scheduler.recordings.corroboration import Corroboration
from scheduler.recordings.session import Reading, Session, State
from scheduler.recordings.timings import Timings
from tests.fakes.memory_store import MemoryStore
from tests.simulation import scheduler, wire


def _first_404() -> Any:
    return patch.object(patience, "_lasted", lambda since, _: 1e9 if since else -1.0)


def _any_404() -> Any:
    real = evidence.of_error

    def of_error(error: Any, **known: Any) -> Any:
        told = real(error, **known)
        return replace(told, reading=Reading.NOT_FOUND) if error.status == 404 else told

    stack = ExitStack()
    stack.enter_context(patch.object(evidence, "of_error", of_error))
    stack.enter_context(_no_wave())  # it would help
    return stack


def _no_wave() -> Any:
    async def judge(_: Corroboration, __: Session, told: Any) -> Any:
        return told

    return patch.object(Corroboration, "judge", judge)


def _stops_on_a_404() -> Any:
    real = decide.stop_due

    def stop_due(session: Session, **known: Any) -> float | None:
        missing = session.missing_since
        return real(session, **known) if missing is None else missing

    def owed(session: Session, *, now: float) -> str:
        return "404" if session.missing_since is not None else real_owed(session, now=now)

    real_owed = decide.stop_owed
    stack = ExitStack()
    stack.enter_context(patch.object(decide, "stop_due", stop_due))
    stack.enter_context(patch.object(decide, "stop_owed", owed))
    return stack


def _stop_when_silent() -> Any:
    real = reconcile.decide

    def decide_wrongly(session: Session, **known: Any) -> Any:
        action = real(session, **known)
        silent = session.state is State.RECORDING and isinstance(action, decide.Ask)
        return decide.Stop("silent") if silent else action

    return patch.object(reconcile, "decide", decide_wrongly)


def _told_and_forgotten() -> Any:
    real = wire.WiredLedger.save

    async def save(self: wire.WiredLedger, change: Any, **known: Any) -> Any:
        store: MemoryStore = self._ledger.store  # type: ignore[attr-defined]
        kept = store.find(change.session.sid)
        if kept is not None:
            kept.kinds.clear()
        told = tuple(kind for kind in change.session.findings if kind != "closed")
        change = replace(change, session=replace(change.session, findings=told))
        return await real(self, change, **known)

    return patch.object(wire.WiredLedger, "save", save)


def _everybody_leads() -> Any:
    async def hold(self: wire.WiredLease) -> int:
        await self._lease.hold()
        return 1

    async def claim(self: wire.WiredLedger, sid: str, **_: Any) -> bool:
        await asyncio.sleep(0)
        return True

    stack = ExitStack()
    stack.enter_context(patch.object(wire.WiredLease, "hold", hold))
    stack.enter_context(patch.object(wire.WiredLedger, "claim", claim))
    return stack


def _never_again() -> Any:
    real = telling.fold

    async def fold(ledger: Any, sid: str, news: Any, *, timings: Timings, **known: Any) -> Any:
        saved = await real(ledger, sid, news, timings=timings, **known)
        if saved is not None and saved.state is State.ENDING:
            await ledger.postpone(sid, None)
        return saved

    return patch.object(telling, "fold", fold)


def _too_many_calls() -> Any:
    return patch.object(scheduler, "PER_SECOND", 50.0)


DAMAGE: dict[str, tuple[Callable[[], Any], str, int]] = {
    "the first 404 is believed": (_first_404, "wrong ends", 4),
    "any 404 is believed": (_any_404, "wrong ends", 59),
    "a wave of 404s is believed": (_no_wave, "wrong ends", 28),
    "what is not found is stopped": (_stops_on_a_404, "wrong stops", 0),
    "what is silent is stopped": (_stop_when_silent, "wrong stops", 0),
    "what was told is forgotten": (_told_and_forgotten, "doubled", 0),
    "everybody leads": (_everybody_leads, "at once", 1),
    "what is ending is never looked at again": (_never_again, "unsettled", 0),
    "the budget is ignored": (_too_many_calls, "over budget", 5),
}
"""What is done, the kind of failure that must be found, and a seed that finds it."""


@contextmanager
def done(name: str) -> Iterator[None]:
    """This damage, for a while; an empty name does none."""
    if not name:
        yield
        return
    with DAMAGE[name][0]():
        yield
