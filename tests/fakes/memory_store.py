"""What a store holds, as values in this process: sessions, schedule, stream, group, leases.

`MemoryLedger`, `MemoryLease` and `MemoryReader` are its clients, and keep the promises of those of
Redis: the same suites run over both. What it forgets, it forgets like a server that came back empty.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agora_sidecar.entry import Entry
from agora_sidecar.store import StoreError
from scheduler.recordings.session import Session


@dataclass(slots=True)
class Kept:
    """One recording's hash: the session, the kinds that were told, when it expires (Unix s)."""

    session: Session | None
    kinds: set[str] = field(default_factory=set)
    expires: float | None = None


@dataclass(slots=True)
class Group:
    """How far a group has read, and what its members have not acknowledged: when it was given."""

    read: int = 0
    pending: dict[int, float] = field(default_factory=dict)


class MemoryStore:
    """The server. `now` is its clock; `fail_next` fails one request, `away` all of them, with this word."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.away = ""
        self.fail_next: StoreError | None = None
        self.on_entry: Callable[[Entry], None] = lambda _: None
        self.recordings: dict[str, Kept] = {}
        self.due: dict[str, float] = {}
        self.claims: dict[str, tuple[str, float]] = {}
        self.entries: list[Entry] = []
        self.groups: dict[str, Group] = {}
        self._leases: dict[str, tuple[str, float | None]] = {}
        self._fences: dict[str, int] = {}
        self._marks: set[str] = set()
        self._arrived = asyncio.Event()
        self._number = 0

    def demand(self) -> None:
        """Fail where a server would not have answered."""
        error, self.fail_next = self.fail_next, None
        if error is not None:
            raise error
        if self.away:
            raise StoreError(self.away, "told to be away")

    def clear(self) -> None:
        """It comes back empty."""
        for held in (self.recordings, self.due, self.entries, self.groups):
            held.clear()
        for more in (self._leases, self._fences, self._marks, self.claims):
            more.clear()

    def find(self, sid: str) -> Kept | None:
        """The recording's hash, if it has not expired."""
        kept = self.recordings.get(sid)
        if kept is not None and kept.expires is not None and self.now() >= kept.expires:
            del self.recordings[sid]
            return None
        return kept

    def append(self, fields: Sequence[str | bytes], *, mark: str = "") -> bool:
        """Put an entry on the stream, once where it has a mark; whether it was new."""
        if mark in self._marks:
            return False
        if mark:
            self._marks.add(mark)
        self._number += 1
        entry = _entry(f"{int(self.now() * 1000)}-{self._number}", fields)
        self.entries.append(entry)
        self.on_entry(entry)
        self._arrived.set()
        return True

    async def arrival(self) -> None:
        """Return when the next entry arrives."""
        self._arrived.clear()
        await self._arrived.wait()

    def lease(self, name: str) -> str | None:
        """Who holds a lease, as it was written."""
        value, until = self._leases.get(name, ("", None))
        return value if value and (until is None or self.now() < until) else None

    def hold(self, name: str, holder: str, *, length: float) -> tuple[int, bool, int]:
        """Acquire or renew: the fence (0: somebody else holds it), whether it is new, the counter."""
        held = self.lease(name)
        if held is not None and held.rpartition(":")[0] != holder:
            return 0, False, self._fences.get(name, 0)
        fence, fresh = int(held.rpartition(":")[2]) if held else 0, held is None
        if fresh:
            fence = self._fences[name] = self._fences.get(name, 0) + 1
        self._leases[name] = (f"{holder}:{fence}", self.now() + length)
        return fence, fresh, self._fences.get(name, 0)

    def take_lease(self, name: str, value: str | None) -> None:
        """Give it to somebody for ever, or to nobody."""
        self._leases.pop(name, None)
        if value is not None:
            self._leases[name] = (value, None)


def _entry(stream_id: str, fields: Sequence[str | bytes]) -> Entry:
    known = dict(zip(fields[::2], fields[1::2], strict=True))
    names = set(Entry.__struct_fields__)
    given = {str(name): value for name, value in known.items() if name in names}
    required = dict.fromkeys(("id", "source", "type", "subject", "time", "origin"), "")
    return Entry(**{**required, "data": b"", **given, "stream_id": stream_id})  # type: ignore[arg-type]
