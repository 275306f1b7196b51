"""A lease over a store in memory: `scheduler.leadership.Lease` without a server."""

from agora_sidecar.process.clock import Clock
from tests.fakes.memory_store import MemoryStore


class MemoryLease:
    """One holder's claim; its attributes and methods are those of `Lease`."""

    def __init__(
        self, store: MemoryStore, name: str, *, length: float, clock: Clock, holder: str
    ) -> None:
        self.length = length
        self.emptied = False
        self._store = store
        self._name = name
        self._holder = holder
        self._clock = clock
        self._fence = 0
        self._until = 0.0
        self._highest = 0

    @property
    def fence(self) -> int | None:
        return self._fence if self._fence and self._clock.monotonic() < self._until else None

    @property
    def token(self) -> str:
        return f"{self._holder}:{self._fence}"

    async def hold(self) -> int | None:
        self._store.demand()
        asked = self._clock.monotonic()
        fence, fresh, counter = self._store.hold(self._name, self._holder, length=self.length)
        if counter < self._highest or (fresh and fence <= self._highest):
            self.emptied = True
        self._highest = counter
        self._fence, self._until = fence, asked + self.length
        return fence or None

    def note_refilled(self) -> None:
        self.emptied = False

    async def release(self) -> None:
        if self._fence:
            self._store.demand()
            if self._store.lease(self._name) == self.token:
                self._store.take_lease(self._name, None)
            self._fence = 0
