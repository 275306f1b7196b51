"""A gateway in front of a vendor that answers what it is told, with a ledger in memory."""

import asyncio
import base64
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.client import Client
from agora_sidecar.store import StoreError
from scheduler.business import business_application
from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Session
from scheduler.recordings.timings import Timings
from scheduler.settings import GatewaySettings
from tests.fakes.agora_api import AgoraApi
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import MemoryLedger

SID = "0123456789abcdef0123456789abcdef"
CUSTOMER, CUSTOMER_SECRET = "customer", "customer-secret"
V1 = "/v1/apps/app/cloud_recording"
NAMES = {"cname": "room 1", "uid": "527841"}


class HouseLedger(MemoryLedger):
    """A ledger whose store may be `away`."""

    away = False

    async def load(self, sid: str) -> Session | None:
        if self.away:
            raise StoreError("gone", "made so by a test")
        return await super().load(sid)


class Server(TestServer):
    """As the scheduler serves: a caller that leaves cancels nothing."""

    async def _make_runner(self, **options: Any) -> web.AppRunner:
        return web.AppRunner(self.app, **options | {"handler_cancellation": False})


class House:
    """`call` asks the gateway; `api` is the vendor; `ledger` what is known."""

    requests_per_second = float("inf")
    timeout = 5.0

    def __init__(self, **settings: Any) -> None:
        self.api = AgoraApi()
        self.clock = FakeClock()
        self.ledger = HouseLedger()
        self.metrics = CollectorRegistry()
        self._settings = settings

    async def __aenter__(self) -> Self:
        self._vendor = TestServer(self.api.application)
        await self._vendor.start_server()
        self._agora = Client(
            base_urls=[str(self._vendor.make_url("/"))],
            customer_id=CUSTOMER,
            customer_secret=CUSTOMER_SECRET,
            clock=self.clock,
            requests_per_second=self.requests_per_second,
            timeout=self.timeout,
        )
        registry = Registry(ledger=self.ledger, timings=Timings(), clock=self.clock)
        memory = Memory(registry=registry, clock=self.clock)
        self._running = asyncio.create_task(memory.run())
        settings = GatewaySettings.model_validate(self._settings)
        application: web.Application = business_application(
            settings,
            registry=registry,
            memory=memory,
            client=self._agora,
            app_ids=["app"],
            clock=self.clock,
            metrics=self.metrics,
        )
        self.client: TestClient[Any, Any] = TestClient(Server(application))
        await self.client.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.client.close()
        await self._agora.close()
        await self._vendor.close()

    async def call(
        self, name: str, body: Any = None, *, mode: str = "mix", **options: Any
    ) -> tuple[int, Any]:
        """Status and JSON of one call of the vendor's API through the gateway."""
        method = "GET" if name in {"query", "ncs_ip"} else "POST"
        response = await self.client.request(method, place(name, mode), json=body, **options)
        return response.status, await response.json()

    async def started(
        self, client_request: Any, *, mode: str = "mix", acquire: Any = None, names: Any = NAMES
    ) -> None:
        """An acquire and a start went through."""
        self.api.say({"resourceId": "RID", **names})
        assert (await self.call("acquire", {**names, "clientRequest": acquire or {}}))[0] == 200
        self.api.say({"resourceId": "RID", "sid": SID, **names})
        body = {**names, "clientRequest": client_request}
        assert (await self.call("start", body, mode=mode))[0] == 200


def place(name: str, mode: str = "mix") -> str:
    """The path of a call."""
    task = f"{V1}/resourceid/RID/sid/{SID}/mode/{mode}"
    return {
        "acquire": f"{V1}/acquire",
        "start": f"{V1}/resourceid/RID/mode/{mode}/start",
        "ncs_ip": "/v1/ncs/ip",
    }.get(name, f"{task}/{name}")


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
