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
from agora_sidecar.process.serving import end
from agora_sidecar.store import Durability, StoreError, connect, store_errors
from agora_sidecar.watch import StoreWatch, first_look
from tests.fakes.clock import FakeClock
from tests.integration.processes import Store, until
from tests.integration.test_receiver_process import ALWAYS

pytestmark = pytest.mark.integration


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder))
        yield store
        store.end()


async def test_a_new_connection_makes_what_is_known_doubtful_until_the_next_look(
    store: Store,
) -> None:
    """A restart with another configuration, between two looks."""
    learnt: list[Durability] = []
    clock = FakeClock()

    def connected() -> None:
        watch.connected()

    client = connect(store.url, timeout=5.0, on_connect=connected)
    watch = StoreWatch(client, health=Health(clock), clock=clock, on_durability=learnt.append)
    store.options = ALWAYS
    await store.start()
    await first_look(watch)
    await client.set("a", "b")
    assert not watch.doubtful

    store.send(signal.SIGKILL)
    store.options = ()
    await store.start()
    await client.set("a", "b")  # nobody was told that it had gone
    assert watch.doubtful
    assert learnt[-1].level == "redis-fsync"
    await watch.ascertain()
    assert not watch.doubtful
    assert learnt[-1].level == "redis-memory"

    store.send(signal.SIGKILL)
    with pytest.raises(StoreError), store_errors():
        await client.set("a", "b")
    await watch.ascertain()  # ends, though nobody answers
    await client.aclose()


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
        await end([task])
    await client.aclose()
    assert [entry["event"] for entry in logs] == ["store.ready", "store.watch_failed"]
    assert health.ready


async def test_who_wants_to_know_is_told_when_the_store_is_back_and_not_before(
    store: Store,
) -> None:
    back: list[bool] = []
    client = connect(store.url, timeout=0.5)
    health, clock = Health(FakeClock()), FakeClock()
    watch = StoreWatch(client, health=health, clock=clock, on_back=lambda: back.append(True))
    await store.start()
    for _ in range(2):
        await watch.look()
    assert not back
    store.send(signal.SIGKILL)
    await watch.look()
    assert not back
    await store.start()
    for _ in range(2):
        await watch.look()
    await client.aclose()
    assert len(back) == 1


async def test_a_restart_between_two_looks_is_noticed_within_ten_seconds(store: Store) -> None:
    back: list[bool] = []
    client = connect(store.url, timeout=0.5)
    clock = FakeClock()
    watch = StoreWatch(client, health=Health(clock), clock=clock, on_back=lambda: back.append(True))
    await store.start()
    with capture_logs() as logs:
        await watch.look()
        store.send(signal.SIGKILL)
        await store.start()
        clock.advance(9.0)
        await watch.look()
        assert not back
        clock.advance(1.0)
        for _ in range(2):
            await watch.look()
    await client.aclose()
    assert len(back) == 1
    assert [entry["event"] for entry in logs] == ["store.ready", "store.replaced"]


async def test_another_configuration_is_noticed_and_each_warning_said_once(store: Store) -> None:
    learnt: list[Durability] = []
    clock = FakeClock()
    client = connect(store.url, timeout=0.5)
    watch = StoreWatch(client, health=Health(clock), clock=clock, on_durability=learnt.append)
    await store.start()

    async def looks() -> None:
        for _ in range(2):
            clock.advance(10.0)
            await watch.look()

    with capture_logs() as logs:
        await looks()
        await store.do("CONFIG", "SET", "maxmemory", "100mb")
        await store.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await looks()
        await store.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await looks()
        await store.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await looks()
    await client.aclose()
    warned = [entry["why"] for entry in logs if entry["event"] == "store.warning"]
    assert len(warned) == 2
    assert all("allkeys-lru" in why and "drops marks" in why for why in warned)
    assert [bool(found.warnings) for found in learnt] == [False, True, False, True]
