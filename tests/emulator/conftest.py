from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agora_sidecar.emulator.emulator import Emulator
from tests.emulator.callback_receiver import CallbackReceiver
from tests.emulator.laboratory import Build, Laboratory, options
from tests.fakes.clock import FakeClock


@pytest.fixture
async def receiver() -> AsyncIterator[CallbackReceiver]:
    receiver = CallbackReceiver()
    yield receiver
    receiver.release()


@pytest.fixture
async def callback_url(receiver: CallbackReceiver) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/ncs", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/ncs"
    receiver.release()
    await runner.cleanup()


@pytest.fixture
async def build(receiver: CallbackReceiver, callback_url: str) -> AsyncIterator[Build]:
    """Builds laboratories; closes them afterwards."""
    async with AsyncExitStack() as stack:

        async def laboratory(**given: Any) -> Laboratory:
            clock = FakeClock()
            emulator = Emulator(options(**{"callback": callback_url, **given}), clock=clock)
            url = await emulator.start()
            stack.push_async_callback(emulator.stop)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Laboratory(emulator, url=url, clock=clock, receiver=receiver, session=session)

        yield laboratory


@pytest.fixture
async def laboratory(build: Build) -> Laboratory:
    return await build()
