"""Rules of ours broken on purpose: what the oracle must find, each by its name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from scheduler.recordings import decide, evidence, reconcile
from scheduler.recordings.session import Reading, Session, State
from scheduler.recordings.timings import Timings
from tests.fakes.memory_store import Kept
from tests.simulation import scheduler, wire


def _first_404() -> Any:
    return patch.object(decide, "_missing_for", lambda s: 1e9 if s.missing_since else -1.0)


def _any_404() -> Any:
    real = evidence.of_error

    def of_error(error: Any, **known: Any) -> Any:
        told = real(error, **known)
        return replace(told, reading=Reading.NOT_FOUND) if error.status == 404 else told

    return patch.object(evidence, "of_error", of_error)


def _no_wave() -> Any:
    return patch("scheduler.recordings.wave.Wave.is_on", lambda *_: False)


def _stop_when_silent() -> Any:
    real = reconcile.decide

    def decide_wrongly(session: Session, **known: Any) -> Any:
        action = real(session, **known)
        silent = session.state is State.RECORDING and isinstance(action, decide.Ask)
        return decide.Stop("silent") if silent else action

    return patch.object(reconcile, "decide", decide_wrongly)


def _tells_again() -> Any:
    real = wire.WiredLedger.save

    async def save(self: wire.WiredLedger, change: Any, **known: Any) -> Any:
        kept: Kept | None = self._ledger.store.find(change.session.sid)  # type: ignore[attr-defined]
        if kept is not None:
            kept.kinds.clear()
        return await real(self, change, **(known | {"token": None}))

    return patch.object(wire.WiredLedger, "save", save)


def _no_lease() -> Any:
    async def hold(self: wire.WiredLease) -> int:
        await self._lease.hold()
        return 1

    return patch.object(wire.WiredLease, "hold", hold)


def _never_again() -> Any:
    real = reconcile.fold

    async def fold(ledger: Any, sid: str, news: Any, *, timings: Timings, **known: Any) -> Any:
        saved = await real(ledger, sid, news, timings=timings, **known)
        if saved is not None and saved.state is State.ENDING:
            await ledger.postpone(sid, None)
        return saved

    return patch.object(reconcile, "fold", fold)


def _too_many_calls() -> Any:
    return patch.object(scheduler, "PER_SECOND", 50.0)


DAMAGE: dict[str, tuple[Callable[[], Any], str]] = {
    "the first 404 is believed": (_first_404, "wrong ends"),
    "any 404 is believed": (_any_404, "wrong ends"),
    "a wave of 404s is believed": (_no_wave, "wrong ends"),
    "what is silent is stopped": (_stop_when_silent, "wrong stops"),
    "who does not lead writes, and what was told is forgotten": (_tells_again, "doubled"),
    "everybody leads": (_no_lease, "at once"),
    "what is ending is never looked at again": (_never_again, "unsettled"),
    "the budget is ignored": (_too_many_calls, "over budget"),
}
"""What is done, and the kind of failure that must be found."""


@contextmanager
def done(name: str) -> Iterator[None]:
    """This damage, for a while; an empty name does none."""
    if not name:
        yield
        return
    with DAMAGE[name][0]():
        yield
