"""Watches the store for a process: is it there, and how safe is what it acknowledges.

The store gone, hanging or back shows in the process's health within `interval` and is logged once,
when it changes. What it says of its durability is asked again whenever it came back, for every new
connection, and every `anew` seconds: it may be another server, or the same with another
configuration.
"""

import asyncio
from collections.abc import Callable

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.health import Health
from agora_sidecar.store import Durability, Redis, StoreError, durability, ping

log = structlog.get_logger()

LOOKS = 3
"""Attempts to be certain: a look may itself need a new connection."""


class StoreWatch:
    """Looks at one store every `interval` seconds; tells `on_durability` what it learns.

    `on_back` is called when the store answers again after it had not, or is another one or a
    restarted one: it may have lost what it acknowledged. Either is only called on a change.
    """

    def __init__(
        self,
        client: Redis,
        *,
        health: Health,
        clock: Clock,
        interval: float = 1.0,
        anew: float = 10.0,
        on_durability: Callable[[Durability], None] = lambda _: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._health = health
        self._clock = clock
        self._interval = interval
        self._anew = anew
        self._on_durability = on_durability
        self._on_back = on_back
        self.durability: Durability | None = None
        self._there: bool | None = None
        self._asked_at = 0.0
        self._identity: str | None = None
        self._warned: tuple[str, ...] = ()
        self._connected = 0
        self._known = 0
        self._looking = asyncio.Lock()
        health.expect("redis")

    def connected(self) -> None:
        """A connection was made: nobody knows yet what answers there."""
        self._connected += 1

    @property
    def doubtful(self) -> bool:
        """Whether a connection is newer than what is known of the store."""
        return self._known != self._connected

    async def ascertain(self) -> None:
        """Look now if it is doubtful; afterwards it is not, unless the store does not answer."""
        for _ in range(LOOKS):
            if self.doubtful:
                await self.look()

    async def look(self) -> None:
        """Look once; never raises for a store that does not answer."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        connected = self._connected
        try:
            await ping(self._client)
            found = await self._durability()
        except StoreError as error:
            self._lost(error)
            return
        self._known = connected
        before, self.durability = self.durability, found
        was_there, self._there = self._there, True
        replaced = self._identity not in {None, found.identity}
        self._identity = found.identity
        self._health.report("redis")
        if not was_there:
            log.info("store.ready", level=found.level, **found.facts)
        elif replaced:
            log.warning("store.replaced", level=found.level, **found.facts)
        self._warn(found)
        if before is None or before.judgement != found.judgement:
            self._on_durability(found)
        if was_there is False or replaced:
            self._on_back()

    async def run(self) -> None:
        """Look for ever: whatever goes wrong here must not end what goes well."""
        while True:
            try:
                await self.look()
            except Exception as error:  # boundary
                log.exception("store.watch_failed", why=repr(error))
            await self._clock.sleep(self._interval)

    async def _durability(self) -> Durability:
        now = self._clock.monotonic()
        recent = now - self._asked_at < self._anew and not self.doubtful
        if self.durability is not None and recent:
            return self.durability
        found = await durability(self._client)
        self._asked_at = now
        return found

    def _lost(self, error: StoreError) -> None:
        self.durability = None
        self._health.report("redis", str(error))
        if self._there is not False:
            log.error("store.lost", kind=error.kind, why=error.detail)
        self._there = False

    def _warn(self, found: Durability) -> None:
        for warning in found.warnings:
            if warning not in self._warned:
                log.warning("store.warning", why=warning)
        self._warned = found.warnings


async def first_look(watch: StoreWatch, *, timeout: float = 3.0) -> None:
    """Look once before serving, but do not wait longer than `timeout` seconds for it."""
    try:
        async with asyncio.timeout(timeout):
            await watch.look()
            await watch.ascertain()
    except TimeoutError:
        return
