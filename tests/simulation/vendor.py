"""The vendor on the virtual clock: the emulator's account without sockets, and who knows the truth."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from agora_sidecar.emulator.addresses import AddressPool
from agora_sidecar.emulator.callbacks import Callbacks, Post
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.gate import Gate
from agora_sidecar.emulator.journal import Journal, Truth
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.service import Service
from agora_sidecar.emulator.studio import Studio
from agora_sidecar.emulator.tasks import RUNNING
from agora_sidecar.process.clock import Clock
from tests.simulation.scenario import Losses

APP_ID = "app"
CUSTOMER, CUSTOMER_SECRET = "customer", "customer-secret"
SECRET = "notification-secret"
PER_SECOND = 10.0
"""Requests a second that an account has."""


class _Match(dict[str, str]):
    """What aiohttp's router finds, as far as the emulator looks at it."""

    http_exception = None

    def __init__(self, found: Mapping[str, str], name: str) -> None:
        super().__init__(found)
        self.route = _Route(name)


class _Route:
    def __init__(self, name: str) -> None:
        self.name = name


class _Request:
    """A request that needs no connection."""

    def __init__(self, path: str, body: bytes, *, authorization: str, match: _Match) -> None:
        self.path = path
        self.headers = {"Authorization": authorization}
        self.match_info = match
        self._body = body

    async def read(self) -> bytes:
        return self._body


class Vendor:
    """One account. `post` takes its callbacks."""

    def __init__(self, *, seed: int, clock: Clock, losses: Losses, post: Post) -> None:
        self.journal = Journal()
        pace = Pace(clock, 1.0)
        faults = Faults(
            lose=losses.lose,
            duplicate=losses.duplicate,
            reorder=losses.reorder,
            delay=losses.delay,
            backup=losses.backup,
        )
        pool = AddressPool(("127.0.0.1",), published=1)
        self._callbacks = Callbacks(
            secret=SECRET,
            seed=seed,
            pace=pace,
            journal=self.journal,
            post=post,
            addresses=lambda: pool.current,
            faults=lambda: faults,
        )
        self._studio = Studio(seed=seed, pace=pace, journal=self.journal, callbacks=self._callbacks)
        service = Service(
            app_id=APP_ID,
            seed=seed,
            pace=pace,
            pool=pool,
            studio=self._studio,
            journal=self.journal,
            faults=lambda: faults,
        )
        gate = Gate(
            credentials=f"{CUSTOMER}:{CUSTOMER_SECRET}",
            per_second=PER_SECOND,
            seed=seed,
            pace=pace,
            faults=lambda: faults,
        )
        self._pass: Callable[[Any, Any], Awaitable[web.Response]] = gate.middleware()  # type: ignore[assignment]
        self._routes = [
            (route.method, _pattern(route.path), route.kwargs["name"], route.handler)
            for route in service.routes()
        ]

    async def call(
        self, method: str, path: str, body: bytes, *, authorization: str
    ) -> tuple[int, bytes]:
        """Status and body of its answer."""
        for known, pattern, name, handler in self._routes:
            found = pattern.fullmatch(path) if known == method else None
            if found is not None:
                request = _Request(
                    path,
                    body,
                    authorization=authorization,
                    match=_Match(found.groupdict(), name),
                )
                response = await self._pass(request, handler)
                return response.status, bytes(response.body or b"")  # type: ignore[arg-type]
        return 404, b'{"message":"no Route matched with those values"}'

    def truth(self, sid: str) -> Truth | None:
        """How a recording really is."""
        return self.journal.recordings.get(sid)

    def runs(self, sid: str) -> bool:
        """Whether it records, or will go on to."""
        truth = self.truth(sid)
        return truth is not None and truth.status in RUNNING

    def publish(self, cname: str, *, present: bool) -> None:
        """Somebody publishes in a channel, or nobody does any more."""
        self._studio.publish(cname, present=present)

    async def close(self) -> None:
        """End all that runs."""
        await self._studio.close()
        await self._callbacks.close()


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
