"""A ledger in this process's memory, and a lease that is held as told."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from agora_sidecar.store import StoreError
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    FencedError,
    Finding,
    SessionUnreadableError,
)
from scheduler.recordings.session import Session, State


class MemoryLedger:
    """Keeps the ledger's promises; `told` lists the findings in order.

    `fail_next` makes the next call fail, `leader_for_test` is the token that may write, and
    `unreadable_for_test` holds sids whose content makes no sense.
    """

    def __init__(self, *, keep: float = 604_800.0) -> None:
        self.told: list[tuple[str, Finding]] = []
        self.leader_for_test: str | None = None
        self.unreadable_for_test: set[str] = set()
        self.fail_next: StoreError | None = None
        self._sessions: dict[str, Session] = {}
        self._kinds: set[tuple[str, str]] = set()
        self._due: dict[str, float] = {}
        self._claims: dict[str, tuple[str, float]] = {}
        self._forgotten: set[str] = set()
        self.clock_for_test: Callable[[], float] = time.monotonic

    def findings(self, sid: str) -> list[tuple[str, dict[str, object]]]:
        """Kind and evidence of what was told of this recording."""
        return [(f.kind, json.loads(f.data)) for told, f in self.told if told == sid]

    async def load(self, sid: str) -> Session | None:
        self._maybe_fail()
        if sid in self.unreadable_for_test:
            raise SessionUnreadableError(sid, "made so by a test")
        return self._sessions.get(sid)

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        self._maybe_fail()
        session, finding = change.session, change.finding
        if token is not None and token != self.leader_for_test:
            raise FencedError("somebody else leads")
        saved = self._sessions.get(session.sid)
        if (saved.version if saved else 0) != session.version:
            raise ConflictError("somebody else saved first")
        session = replace(session, version=session.version + 1)
        self._sessions[session.sid] = session
        if finding and (session.sid, finding.kind) not in self._kinds:
            self._kinds.add((session.sid, finding.kind))
            self.told.append((session.sid, finding))
        await self.postpone(session.sid, due)
        if token is not None:
            self._claims.pop(session.sid, None)
        return session

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        self._maybe_fail()
        if token != self.leader_for_test:
            raise FencedError("somebody else leads")
        holder, until = self._claims.get(sid, ("", 0.0))
        if holder not in {"", token} and self.clock_for_test() < until:
            return False
        self._claims[sid] = (token, self.clock_for_test() + length)
        return True

    async def due(self, *, now: float, limit: int) -> list[str]:
        self._maybe_fail()
        found = sorted((at, sid) for sid, at in self._due.items() if at <= now)
        return [sid for _, sid in found[:limit]]

    async def next_due(self) -> float | None:
        self._maybe_fail()
        return min(self._due.values(), default=None)

    async def behind(self, *, now: float) -> int:
        self._maybe_fail()
        return sum(at <= now for at in self._due.values())

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        saved = self._sessions.get(sid)
        if version is not None and version != (saved.version if saved else 0):
            return
        self._due.pop(sid, None)
        if until is not None:
            self._due[sid] = until

    async def all(self, *, limit: int) -> list[Session]:
        self._maybe_fail()
        return list(self._sessions.values())[:limit]

    async def forget(self, sid: str) -> bool:
        self._maybe_fail()
        self._due.pop(sid, None)
        if sid in self._sessions:
            self._forgotten.add(sid)
        return self._sessions.pop(sid, None) is not None

    async def absent(self, sids: Sequence[str]) -> list[str]:
        self._maybe_fail()
        return [sid for sid in sids if sid not in self._sessions and sid not in self._forgotten]

    async def restore(self, *, now: float) -> int:
        return 0

    async def adopt(self, *, now: float) -> None:
        for sid, session in self._sessions.items():
            if not session.told:
                self._due.setdefault(sid, now)

    def open_by_state(self) -> dict[State, int]:
        counts = dict.fromkeys(State, 0)
        for session in self._sessions.values():
            counts[session.state] += not session.told
        return counts

    def _maybe_fail(self) -> None:
        error, self.fail_next = self.fail_next, None
        if error:
            raise error


class FakeLease:
    """A lease over a `MemoryLedger`: held until `lose`."""

    def __init__(self, ledger: MemoryLedger, holder: str = "me") -> None:
        self.length = 15.0
        self.emptied = False
        self.token = f"{holder}:1"
        self.held = True
        self._ledger = ledger
        ledger.leader_for_test = self.token

    async def hold(self) -> int | None:
        return 1 if self.held else None

    def note_refilled(self) -> None:
        self.emptied = False

    def lose(self) -> None:
        """Somebody else leads from now on."""
        self.held = False
        self._ledger.leader_for_test = "somebody else:2"
