"""Watches the store for a process: is it there, and how safe is what it acknowledges.

The store gone, hanging or back shows in the process's health within `interval` and is logged once,
when it changes. What it says of its durability is asked again whenever it came back: it may be
another server, or the same with another configuration.
"""

import asyncio
from collections.abc import Callable

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.health import Health
from agora_sidecar.store import Durability, Redis, StoreError, durability, store_errors

log = structlog.get_logger()


class StoreWatch:
    """Looks at one store every `interval` seconds; tells `on_durability` what it learns."""

    def __init__(
        self,
        client: Redis,
        *,
        health: Health,
        clock: Clock,
        interval: float = 1.0,
        on_durability: Callable[[Durability], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._health = health
        self._clock = clock
        self._interval = interval
        self._on_durability = on_durability
        self.durability: Durability | None = None
        self._there: bool | None = None
        health.expect("redis")

    async def look(self) -> None:
        """Look once; never raises for a store that does not answer."""
        try:
            with store_errors():
                await self._client.ping()
            if self.durability is None:
                self.durability = await durability(self._client)
                self._on_durability(self.durability)
        except StoreError as error:
            self.durability = None
            self._health.report("redis", str(error))
            if self._there is not False:
                log.error("store.lost", kind=error.kind, why=error.detail)
            self._there = False
            return
        self._health.report("redis")
        if not self._there:
            log.info("store.ready", level=self.durability.level, **self.durability.facts)
        self._there = True

    async def run(self) -> None:
        """Look for ever: whatever goes wrong here must not end what goes well."""
        while True:
            try:
                await self.look()
            except Exception as error:  # boundary
                log.exception("store.watch_failed", why=repr(error))
            await self._clock.sleep(self._interval)


async def first_look(watch: StoreWatch, *, timeout: float = 3.0) -> None:
    """Look once before serving, but do not wait longer than `timeout` seconds for it."""
    try:
        async with asyncio.timeout(timeout):
            await watch.look()
    except TimeoutError:
        return
