"""A ledger in this process's memory, and a lease that is held as told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from agora_sidecar.entry import finding_fields
from agora_sidecar.store import StoreError
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    FencedError,
    Finding,
    SessionUnreadableError,
)
from scheduler.recordings.remembered import Remembered
from scheduler.recordings.session import Session, State
from tests.fakes.memory_store import Kept, MemoryStore

LEASE = "recordings"


class MemoryLedger:
    """One process's ledger over a store; `told` lists the findings it put there, in order.

    `fail_next` makes the next request fail, `leader_for_test` is the token that may write, and
    `unreadable_for_test` holds sids whose content makes no sense. `keep` as in `RedisLedger`.
    """

    def __init__(self, store: MemoryStore | None = None, *, keep: float = 604_800.0) -> None:
        self.store = store or MemoryStore()
        self.told: list[tuple[str, Finding]] = []
        self.unreadable_for_test: set[str] = set()
        self._keep = keep
        self.remembered = Remembered()

    @property
    def leader_for_test(self) -> str | None:
        return self.store.lease(LEASE)

    @leader_for_test.setter
    def leader_for_test(self, token: str | None) -> None:
        self.store.take_lease(LEASE, token)

    @property
    def clock_for_test(self) -> Callable[[], float]:
        """The store's clock: claims and leases run out by it."""
        return self.store.now

    @clock_for_test.setter
    def clock_for_test(self, now: Callable[[], float]) -> None:
        self.store.now = now

    @property
    def fail_next(self) -> StoreError | None:
        return self.store.fail_next

    @fail_next.setter
    def fail_next(self, error: StoreError | None) -> None:
        self.store.fail_next = error

    def findings(self, sid: str) -> list[tuple[str, dict[str, object]]]:
        """Kind and evidence of what was told of this recording."""
        return [(f.kind, json.loads(f.data)) for told, f in self.told if told == sid]

    async def load(self, sid: str) -> Session | None:
        self.store.demand()
        if sid in self.unreadable_for_test:
            raise SessionUnreadableError(sid, "made so by a test")
        kept = self.store.find(sid)
        if kept is None:
            remembered = self.remembered.get(sid)
            return replace(remembered, version=0) if remembered else None
        if kept.session is None:
            self.remembered.drop(sid)
        return kept.session

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        self.store.demand()
        session, sid = change.session, change.session.sid
        if token is not None and token != self.store.lease(LEASE):
            raise FencedError("somebody else leads")
        kept = self.store.find(sid) or Kept(None)
        if (kept.session.version if kept.session else 0) != session.version:
            raise ConflictError("somebody else saved first")
        self._tell(session, change.finding, kept=kept, now=now)
        session = replace(session, version=session.version + 1)
        expires = self.store.now() + self._keep if session.told else None
        self.store.recordings[sid] = Kept(session, kept.kinds, expires)
        self._schedule(sid, due)
        if token is not None:
            self.store.claims.pop(sid, None)
        self.remembered.put(session, now=now)
        return session

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        self.store.demand()
        if token != self.store.lease(LEASE):
            raise FencedError("somebody else leads")
        holder, until = self.store.claims.get(sid, ("", 0.0))
        now = self.store.now()
        if holder not in {"", token} and now < until:
            return False
        self.store.claims[sid] = (token, now + length)
        return True

    async def due(self, *, now: float, limit: int) -> list[str]:
        self.store.demand()
        found = sorted((at, sid) for sid, at in self.store.due.items() if at <= now)
        return [sid for _, sid in found[:limit]]

    async def next_due(self) -> float | None:
        self.store.demand()
        return min(self.store.due.values(), default=None)

    async def behind(self, *, now: float) -> int:
        self.store.demand()
        return sum(at <= now for at in self.store.due.values())

    async def soon(self, *, by: float, limit: int) -> list[Session]:
        self.store.demand()
        found = sorted(((at, sid) for sid, at in self.store.due.items() if at <= by), reverse=True)
        kept = (
            self.store.find(sid) for _, sid in found[:limit] if sid not in self.unreadable_for_test
        )
        return [k.session for k in kept if k is not None and k.session is not None]

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        self.store.demand()
        kept = self.store.find(sid)
        found = kept.session.version if kept and kept.session else 0
        if version is None or version == found:
            self._schedule(sid, until)

    async def all(self, *, limit: int) -> list[Session]:
        self.store.demand()
        kept = (self.store.find(sid) for sid in list(self.store.recordings))
        return [k.session for k in kept if k is not None and k.session is not None][:limit]

    async def forget(self, sid: str) -> bool:
        self.store.demand()
        kept, remembered = self.store.find(sid), self.remembered.get(sid)
        self.remembered.drop(sid)
        known = remembered is not None if kept is None else kept.session is not None
        self._schedule(sid, None)
        self.store.recordings.pop(sid, None)
        if known:  # a mark: no process may write back what it remembers
            self.store.recordings[sid] = Kept(None, expires=self.store.now() + self._keep)
        return known

    async def absent(self, sids: Sequence[str]) -> list[str]:
        self.store.demand()
        return [sid for sid in sids if self.store.find(sid) is None]

    async def restore(self, *, now: float) -> int:
        written = 0
        for session in self.remembered.fresh(since=now - self._keep):
            try:
                await self.save(Change(replace(session, version=0)), due=now, now=now)
                written += 1
            except ConflictError:
                continue
        return written

    async def adopt(self, *, now: float) -> None:
        for session in await self.all(limit=100_000):
            if not session.told:
                self.remembered.put(session, now=now)
                self.store.due.setdefault(session.sid, now)

    def open_by_state(self) -> dict[State, int]:
        return self.remembered.by_state()

    def _tell(self, session: Session, finding: Finding | None, *, kept: Kept, now: float) -> None:
        if finding is None or finding.kind in kept.kinds:
            return
        kept.kinds.add(finding.kind)
        self.told.append((session.sid, finding))
        fields = finding_fields(
            sid=session.sid,
            kind=finding.kind,
            number=1,
            source=session.source,
            cname=session.cname,
            uid=session.uid,
            data=finding.data,
            now_ms=int(now * 1000),
        )
        self.store.append(fields)

    def _schedule(self, sid: str, due: float | None) -> None:
        self.store.due.pop(sid, None)
        if due is not None:
            self.store.due[sid] = due


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
