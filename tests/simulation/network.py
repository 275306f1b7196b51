"""The network between a process of ours and the vendor: latency, and what the weather makes of it."""

import asyncio
from random import Random

import httpx
import msgspec

from agora_sidecar.emulator.account import Path
from tests.simulation.chronicle import Call, Chronicle
from tests.simulation.vendor import Vendor
from tests.simulation.weather import Weather
from tests.simulation.wire import Wire

HOSTS = ("https://one.example", "https://two.example")
EQUAL = 0.001
"""Seconds: two times of one moment, one of them through Unix time."""
LATENCY = (0.02, 0.25)
TOO_LATE = 40.0
"""Seconds: beyond every time-out of ours."""


class Network(httpx.AsyncBaseTransport):
    """One process's way to the vendor; each call goes into the chronicle as the vendor sees it."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        process: str,
        wire: Wire,
        weather: Weather,
        chronicle: Chronicle,
        rng: Random,
    ) -> None:
        self._vendor = vendor
        self._process = process
        self._wire = wire
        self._weather = weather
        self._chronicle = chronicle
        self._rng = rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._wire.gate("call")
        sent = asyncio.get_running_loop().time()
        await asyncio.sleep(self._rng.uniform(*LATENCY))
        status, body = await self._answer(request, sent)
        await self._wire.gate("call")
        return httpx.Response(status, content=body)

    async def _answer(self, request: httpx.Request, sent: float) -> tuple[int, bytes]:
        weather = self._weather.now
        if weather.first_host_is_gone and request.url.host == "one.example":
            raise httpx.ConnectError("gone", request=request)
        if weather.too_late:
            await asyncio.sleep(TOO_LATE)
        name, path = _named(request)
        status, body = weather.instead or self._vendor.call(name, path, request.content)
        self._note(request, status, body, sent=sent)
        if weather.cut_off:
            raise httpx.ReadError("cut off", request=request)
        return status, body

    def _note(self, request: httpx.Request, status: int, body: bytes, *, sent: float) -> None:
        name, path = _named(request)
        sid = path.sid
        known = self._chronicle.recordings.get(sid)
        owed = known is not None and known.wanted_at is not None and known.wanted_at <= sent + EQUAL
        self._chronicle.calls.append(
            Call(
                sent=sent,
                at=asyncio.get_running_loop().time(),
                process=self._process,
                name=name,
                sid=sid,
                answer=_words(status, body),
                owed=owed,
                runs=self._vendor.runs(sid),
            )
        )
        self._chronicle.counts[f"{name} answered {status}"] += 1


def _named(request: httpx.Request) -> tuple[str, Path]:
    """What is called, and about what: `…/apps/A/cloud_recording/resourceid/R/sid/S/mode/M/call`."""
    parts = request.url.path.split("/")
    app_id, resource_id, sid, mode = (parts[n] for n in (3, 6, 8, 10))
    return parts[-1], Path(app_id, resource_id, sid, mode)


def _words(status: int, body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return f"{status} a page"
    server = found.get("serverResponse", {})
    return f"{status} " + (
        f"status {server.get('status', server.get('uploadingStatus'))}"
        if server
        else f"code {found.get('code')}"
    )
