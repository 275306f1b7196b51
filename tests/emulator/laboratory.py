"""An emulator under a clock that moves when told, with a client and a receiver of callbacks."""

import asyncio
import base64
import io
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from tests.emulator.callback_receiver import SECRET, CallbackReceiver
from tests.fakes.clock import FakeClock

T = TypeVar("T")

PATIENCE = 20.0
STORAGE = {"vendor": 1, "region": 0, "bucket": "b", "accessKey": "k", "secretKey": "s"}
CNAME, UID = "room1", "900001"
ACQUIRE = "/v1/apps/emulator-app/cloud_recording/acquire"


class Laboratory:
    def __init__(
        self,
        emulator: Emulator,
        *,
        url: str,
        clock: FakeClock,
        receiver: CallbackReceiver,
        session: aiohttp.ClientSession,
    ) -> None:
        self.emulator = emulator
        self.url = url
        self.clock = clock
        self.receiver = receiver
        self.session = session

    async def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        data: bytes | None = None,
        auth: tuple[str, str] | None = ("emulator-customer", "emulator-customer-secret"),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        status, body, _ = await self.exchange(
            method, path, json, data=data, auth=auth, headers=headers
        )
        return status, body

    async def exchange(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        data: bytes | None = None,
        auth: tuple[str, str] | None = ("emulator-customer", "emulator-customer-secret"),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        credentials = {} if auth is None else {"Authorization": basic(*auth)}
        async with self.session.request(
            method,
            self.url + path,
            json=json,
            data=None if data is None else io.BytesIO(data),
            headers={**credentials, **(headers or {})},
        ) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def acquire(self, *, cname: str = CNAME, uid: str = UID, **request: Any) -> str:
        body = {"cname": cname, "uid": uid, "clientRequest": request}
        status, answer = await self.call("POST", ACQUIRE, body)
        assert status == 200, answer
        return str(answer["resourceId"])

    async def start(
        self,
        resource_id: str,
        *,
        cname: str = CNAME,
        uid: str = UID,
        mode: str = "mix",
        **request: Any,
    ) -> tuple[int, Any]:
        body = {"cname": cname, "uid": uid, "clientRequest": {"storageConfig": STORAGE, **request}}
        return await self.call("POST", start_path(resource_id, mode), body)

    async def record(
        self,
        *,
        cname: str = CNAME,
        uid: str = UID,
        mode: str = "mix",
        acquire: dict[str, Any] | None = None,
        **request: Any,
    ) -> tuple[str, str]:
        wish = {"scene": 1} if mode == "web" else {}
        resource_id = await self.acquire(cname=cname, uid=uid, **{**wish, **(acquire or {})})
        status, answer = await self.start(resource_id, cname=cname, uid=uid, mode=mode, **request)
        assert status == 200, answer
        return resource_id, str(answer["sid"])

    async def query(self, resource_id: str, sid: str, *, mode: str = "mix") -> tuple[int, Any]:
        return await self.call("GET", task_path(resource_id, sid, "query", mode))

    async def update(
        self,
        resource_id: str,
        sid: str,
        endpoint: str = "update",
        *,
        mode: str = "mix",
        **request: Any,
    ) -> tuple[int, Any]:
        """It takes a while: time passes until it is answered."""
        body = {"cname": CNAME, "uid": UID, "clientRequest": request}
        path = task_path(resource_id, sid, endpoint, mode)
        return await self.finish(self.call("POST", path, body), step=0.05)

    async def stop(
        self,
        resource_id: str,
        sid: str,
        *,
        cname: str = CNAME,
        uid: str = UID,
        mode: str = "mix",
        wait: bool = False,
    ) -> tuple[int, Any]:
        body = {"cname": cname, "uid": uid, "clientRequest": {"async_stop": not wait}}
        return await self.call("POST", task_path(resource_id, sid, "stop", mode), body)

    async def until(self, condition: Callable[[], bool], *, step: float = 0.25) -> None:
        """Let time pass until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it did not come to pass"
            self.clock.advance(step)
            await asyncio.sleep(0.002)

    async def until_status(self, sid: str, status: int) -> None:
        await self.until(lambda: self.emulator.journal.recordings[sid].status == status)

    async def settle(self, *, step: float = 0.25) -> None:
        """Let time pass until every delivery is done."""
        await self.finish(self.emulator.settled(), step=step)

    async def finish(self, work: Awaitable[T], *, step: float = 0.25) -> T:
        """Let time pass until something is done."""
        job = asyncio.ensure_future(work)
        await self.until(job.done, step=step)
        return await job


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def start_path(resource_id: str, mode: str = "mix") -> str:
    return f"/v1/apps/emulator-app/cloud_recording/resourceid/{resource_id}/mode/{mode}/start"


def task_path(resource_id: str, sid: str, endpoint: str, mode: str = "mix") -> str:
    base = "/v1/apps/emulator-app/cloud_recording/resourceid"
    return f"{base}/{resource_id}/sid/{sid}/mode/{mode}/{endpoint}"


Build = Callable[..., Awaitable[Laboratory]]


def options(callback: str, **given: Any) -> EmulatorOptions:
    """A rate that no test meets by accident: its clock stands still."""
    return EmulatorOptions(
        **{"callback": callback, "secret": SECRET, "requests_per_second": 100_000.0, **given}
    )
