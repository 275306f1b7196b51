"""A gateway in front of the emulator, both of them listening; the ledger is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.client import Client
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from agora_sidecar.process.clock import SystemClock
from scheduler.business import business_application
from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.registry import Registry
from scheduler.recordings.timings import Timings
from scheduler.settings import GatewaySettings
from tests.fakes.memory_ledger import MemoryLedger

APP_ID = "emulator-app"


@dataclass(frozen=True, slots=True)
class EmulatedHouse:
    """`url` is the gateway's; `agora` is the client that stands between."""

    url: str
    emulator: Emulator
    ledger: MemoryLedger
    agora: Client


@asynccontextmanager
async def emulated_house(
    *,
    requests_per_second: float = 1000.0,
    requests_per_second_of_vendor: float = 1000.0,
    **emulated: Any,
) -> AsyncIterator[EmulatedHouse]:
    limit = requests_per_second_of_vendor
    # a limit counts by the vendor's seconds, which pass `speed` times as fast
    speed = 50.0 if limit >= 1000 else 1.0
    options = EmulatorOptions(**{"requests_per_second": limit, "speed": speed, **emulated})
    clock, ledger = SystemClock(), MemoryLedger()
    registry = Registry(ledger=ledger, timings=Timings(), clock=clock)
    memory = Memory(registry=registry, clock=clock)
    async with AsyncExitStack() as stack:
        emulator = Emulator(options)
        url = await emulator.start()
        stack.push_async_callback(emulator.stop)
        agora = Client(
            base_urls=[url],
            customer_id=options.customer_id,
            customer_secret=options.customer_secret,
            requests_per_second=requests_per_second,
            timeout=60.0,
        )
        stack.push_async_callback(agora.close)
        running = asyncio.create_task(memory.run())
        stack.callback(running.cancel)
        server = TestServer(
            business_application(
                GatewaySettings(),
                registry=registry,
                memory=memory,
                client=agora,
                app_ids=[APP_ID],
                clock=clock,
                metrics=CollectorRegistry(),
            )
        )
        await server.start_server()
        stack.push_async_callback(server.close)
        gateway = str(server.make_url("/")).rstrip("/")
        yield EmulatedHouse(gateway, emulator, ledger, agora)
