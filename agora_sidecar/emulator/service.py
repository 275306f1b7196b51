"""The vendor's endpoints over HTTP; what they answer is the `account`'s business.

Source: the Cloud Recording RESTful API reference; the path with a region in front from the Chinese
pages (`{region}/v1/…`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from agora_sidecar.emulator import answers
from agora_sidecar.emulator.account import Account, Path
from agora_sidecar.emulator.addresses import AddressPool, list_body
from agora_sidecar.emulator.clockwork import Clockwork
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.gate import answer
from agora_sidecar.emulator.journal import Journal
from agora_sidecar.emulator.pace import Pace

REGIONS = ("", "/cn", "/eu", "/ap", "/na", "/us")
APP = "/v1/apps/{app_id}/cloud_recording"
START = APP + "/resourceid/{resource_id}/mode/{mode}"
TASK = APP + "/resourceid/{resource_id}/sid/{sid}/mode/{mode}"
SYNC_STOP = 20.0
"""Seconds for which the answer to a stop waits for the upload."""
UPDATE_TAKES = 0.1
"""Seconds from an update's arrival to its answer; another one meanwhile overlaps it."""

Endpoint = Callable[[web.Request], Awaitable[web.Response]]
Change = Callable[[Path, bytes, float], dict[str, Any]]


class Service:
    """Handlers; each answers, or raises the `Refusal` that the gate turns into an answer."""

    def __init__(
        self,
        account: Account,
        *,
        clockwork: Clockwork,
        pace: Pace,
        pool: AddressPool,
        journal: Journal,
        faults: Callable[[], Faults],
    ) -> None:
        self._account = account
        self._clockwork = clockwork
        self._pace = pace
        self._pool = pool
        self._journal = journal
        self._faults = faults
        self._updating: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """Every path, with and without a region, named as in the journal's `calls`."""
        table: tuple[tuple[str, str, Endpoint, str], ...] = (
            ("POST", f"{APP}/acquire", self.acquire, "acquire"),
            ("POST", f"{START}/start", self.start, "start"),
            ("GET", f"{TASK}/query", self.query, "query"),
            ("POST", f"{TASK}/stop", self.stop, "stop"),
            ("POST", f"{TASK}/update", self.update, "update"),
            ("POST", f"{TASK}/updateLayout", self.update_layout, "updateLayout"),
            ("GET", "/v1/ncs/ip", self.ncs_ip, "ncs_ip"),
            ("GET", "/v2/ncs/ip", self.ncs_ip, "ncs_ip_v2"),
        )
        return [
            _route(method, region + path, handler, name=name + region.replace("/", "."))
            for region in REGIONS
            for method, path, handler, name in table
        ]

    async def acquire(self, request: web.Request) -> web.Response:
        """A resource id for one start."""
        body = await self._enter(request, "acquire")
        return answer(self._account.acquire(_path(request), body, self._pace.elapsed()))

    async def start(self, request: web.Request) -> web.Response:
        """A recording begins."""
        body = await self._enter(request, "start")
        return answer(self._account.start(_path(request), body, self._pace.elapsed()))

    async def query(self, request: web.Request) -> web.Response:
        """How a recording is."""
        await self._enter(request, "query")
        return answer(self._account.query(_path(request), self._pace.elapsed()))

    async def update(self, request: web.Request) -> web.Response:
        """A recording is changed."""
        return await self._change(request, "update", self._account.update)

    async def update_layout(self, request: web.Request) -> web.Response:
        """A composite recording is laid out anew."""
        return await self._change(request, "updateLayout", self._account.update_layout)

    async def stop(self, request: web.Request) -> web.Response:
        """A recording ends; unless `async_stop`, the answer waits for the upload."""
        body = await self._enter(request, "stop")
        recorder, waits = self._account.stop(_path(request), body, self._pace.elapsed())
        if waits and not await self._clockwork.until(lambda: recorder.left, at_most=SYNC_STOP):
            raise answers.slow_upload() if self._clockwork.running else answers.incomplete()
        return answer(self._account.stopped(recorder))

    async def ncs_ip(self, _: web.Request) -> web.Response:
        """Where callbacks come from."""
        self._journal.calls["ncs_ip"] += 1
        content_type, body = list_body(self._pool.current, self._faults().addresses)
        return web.Response(body=body, content_type=content_type)

    async def _change(self, request: web.Request, endpoint: str, change: Change) -> web.Response:
        body = await self._enter(request, endpoint)
        sid = request.match_info["sid"]
        self._journal.overlapping += self._updating[sid] > 0
        self._updating[sid] += 1
        try:
            changed = change(_path(request), body, self._pace.elapsed())
            await self._pace.sleep(UPDATE_TAKES)
            return answer(changed)
        finally:
            self._updating[sid] -= 1
            self._updating += Counter()  # forget what is zero

    async def _enter(self, request: web.Request, endpoint: str) -> bytes:
        self._journal.calls[endpoint] += 1
        return await request.read()


def _route(method: str, path: str, handler: Endpoint, *, name: str) -> web.RouteDef:
    if method == "GET":  # and not HEAD: the vendor's gateway has no such route
        return web.get(path, handler, name=name, allow_head=False)
    return web.post(path, handler, name=name)


def _path(request: web.Request) -> Path:
    return Path(**request.match_info)
