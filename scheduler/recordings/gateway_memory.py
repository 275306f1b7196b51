"""What passed through the gateway, noted in the ledger: at once, or as soon as the store is back.

The vendor's answer is never kept back or changed because the ledger could not be written.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings.ledger import ConflictError, SessionUnreadableError
from scheduler.recordings.registration import OtherRecordingError, Registration
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Session

log = structlog.get_logger()

PATIENCE = 2.0
"""Seconds that an answer of the vendor's waits for the ledger."""
AGAIN = 1.0
"""Seconds between tries while the store is away."""
MOST = 10_000
"""Notes that are kept meanwhile."""

Note = Callable[[], Awaitable[object]]


class Memory:
    """Registers recordings and wishes; `run` makes good what could not be written.

    At most `most` wait for that; what comes then is lost, and the log names it.
    """

    def __init__(self, *, registry: Registry, clock: Clock, most: int = MOST) -> None:
        self._registry = registry
        self._clock = clock
        self._most = most
        self._owed: deque[tuple[str, str, Note]] = deque()
        self._news = asyncio.Event()
        self._known: dict[str, None] = {}

    async def of(self, sid: str) -> Session | None:
        """What the ledger holds of a recording; None too where it cannot be read now."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._registry.get(sid)
        except (StoreError, SessionUnreadableError, TimeoutError):
            return None

    async def know(self, facts: Registration) -> None:
        """Make a recording known, once."""
        if facts.sid in self._known:
            return
        if await self._note(facts.sid, "registration", lambda: self._registry.register(facts)):
            self._known[facts.sid] = None
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    async def want_stopped(self, sid: str) -> None:
        """From now on a stop is owed, until the recording's end is certain."""
        await self._note(sid, "stop", lambda: self._registry.want_stopped(sid))

    async def run(self) -> None:
        """Until cancelled: write what is owed, in its order."""
        while True:
            await self._news.wait()
            while self._owed:
                sid, what, note = self._owed[0]
                if await self._done(sid, what, note):
                    self._owed.popleft()
                else:
                    await self._clock.sleep(AGAIN)
            self._news.clear()

    async def _note(self, sid: str, what: str, note: Note) -> bool:
        """Whether it is noted, or will be."""
        if not self._owed and await self._done(sid, what, note):
            return True
        if len(self._owed) >= self._most:
            log.error("gateway.note_lost", sid=sid, what=what, waiting=len(self._owed))
            return False
        log.warning("gateway.not_noted", sid=sid, what=what, waiting=len(self._owed) + 1)
        self._owed.append((sid, what, note))
        self._news.set()
        return True

    async def _done(self, sid: str, what: str, note: Note) -> bool:
        """Whether nothing remains to be done about it."""
        try:
            async with asyncio.timeout(PATIENCE):
                await note()
        except (StoreError, ConflictError, TimeoutError):
            return False
        except (OtherRecordingError, SessionUnreadableError) as error:
            log.error("gateway.contradicted", sid=sid, what=what, why=str(error))
        return True
