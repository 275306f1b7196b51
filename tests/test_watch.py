"""The watch against a real store that comes, goes and hangs."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.process.health import Health
from agora_sidecar.store import Durability, connect
from agora_sidecar.watch import StoreWatch, first_look
from tests.fakes.clock import FakeClock
from tests.integration.processes import Store, until

pytestmark = pytest.mark.integration


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder))
        yield store
        store.end()


async def test_each_change_is_said_once_and_durability_is_asked_again(store: Store) -> None:
    learnt: list[Durability] = []
    health = Health(FakeClock())
    client = connect(store.url, timeout=0.5)
    watch = StoreWatch(client, health=health, clock=FakeClock(), on_durability=learnt.append)
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look()
        assert not health.ready
        await store.start()
        for _ in range(2):
            await watch.look()
        assert health.ready
        store.send(signal.SIGKILL)
        await watch.look()
        assert not health.ready
        assert watch.durability is None
        store.options = ("--appendonly", "yes", "--appendfsync", "always")
        await store.start()
        await watch.look()
    await client.aclose()
    assert [entry["event"] for entry in logs] == [
        "store.lost",
        "store.ready",
        "store.lost",
        "store.ready",
    ]
    assert [found.level for found in learnt] == ["redis-memory", "redis-fsync"]


async def test_a_first_look_does_not_wait_for_a_store_that_hangs(store: Store) -> None:
    await store.start()
    store.send(signal.SIGSTOP)
    health = Health(FakeClock())
    client = connect(store.url, timeout=30.0)
    await first_look(StoreWatch(client, health=health, clock=FakeClock()), timeout=0.1)
    assert not health.ready
    store.send(signal.SIGCONT)
    await client.aclose(close_connection_pool=True)


async def test_a_bug_while_looking_ends_nothing(store: Store) -> None:
    await store.start()

    def broken(_: Durability) -> None:
        raise RuntimeError("a bug")

    clock, health = FakeClock(), Health(FakeClock())
    client = connect(store.url)
    watch = StoreWatch(client, health=health, clock=clock, on_durability=broken)
    with capture_logs() as logs:
        task = asyncio.create_task(watch.run())
        await until(lambda: clock.slept)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await client.aclose()
    assert [entry["event"] for entry in logs] == ["store.watch_failed"]
