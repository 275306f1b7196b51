"""A master behind Sentinel that is killed, demoted and hidden, while notices are appended."""

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.keys import Keys
from agora_sidecar.process.health import Health
from agora_sidecar.process.serving import end
from agora_sidecar.store import Redis, StoreError, connect, durability, ping, store_errors
from agora_sidecar.stream import Append, Outcome, Writer
from agora_sidecar.watch import StoreWatch
from tests.fakes.clock import FakeClock
from tests.integration.processes import until
from tests.integration.topology import Watched, free_port

pytestmark = pytest.mark.integration

KEYS = Keys()
numbers = count()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="as-") as name:
        yield Path(name)


@pytest.fixture
async def watched(folder: Path) -> AsyncIterator[Watched]:
    async with Watched(server_program(), folder) as watched:
        yield watched


@pytest.fixture
async def client(watched: Watched) -> AsyncIterator[Redis]:
    client = connect(watched.url, timeout=1.0)
    yield client
    await client.aclose()


def item() -> Append:
    name = str(next(numbers))
    return Append(KEYS.events, (KEYS.seen("default", name),), ["id", name], b"{}")


async def stored(client: Redis) -> list[str]:
    with store_errors():
        return [fields[b"id"].decode() for _, fields in await client.xrange(KEYS.events)]


class Load:
    """Offers notices one after the other, each once, and remembers what came of it."""

    def __init__(self, client: Redis) -> None:
        self._writer = Writer(client, dedupe_window=60.0)
        self.offered: list[Append] = []
        self.acknowledged: list[Append] = []
        self.refused: list[tuple[Append, StoreError, float]] = []

    async def run(self) -> None:
        while True:
            one, began = item(), time.monotonic()
            self.offered.append(one)
            try:
                assert await self._writer.append_once([one]) == [Outcome.STORED]
            except StoreError as error:
                self.refused.append((one, error, time.monotonic() - began))
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.append(one)
            await asyncio.sleep(0.001)


async def test_each_new_connection_to_a_master_is_told_of(watched: Watched) -> None:
    told: list[None] = []
    client = connect(watched.url, timeout=1.0, on_connect=lambda: told.append(None))
    await durability(client)
    assert len(told) == 1  # those to the Sentinels are nobody's business
    await watched.master.do("CLIENT", "KILL", "TYPE", "normal")
    await durability(client)
    assert len(told) == 2
    await client.aclose()


async def test_a_master_that_is_killed_is_succeeded_without_another_client(
    watched: Watched, client: Redis
) -> None:
    back: list[bool] = []
    clock = FakeClock()
    watch = StoreWatch(client, health=Health(clock), clock=clock, on_back=lambda: back.append(True))
    await watch.look()
    before = await durability(client)
    load = Load(client)
    task = asyncio.create_task(load.run())
    await until(lambda: len(load.acknowledged) > 100)
    watched.master.send(signal.SIGKILL)
    known = len(load.acknowledged)
    await until(lambda: load.refused)
    await watch.look()
    await until(lambda: len(load.acknowledged) > known + 100)
    await end([task])

    # what the fail-over lost was acknowledged; nothing is there that was never offered, or twice
    found = await stored(client)
    acknowledged = {one.fields[1] for one in load.acknowledged}
    lost = acknowledged - set(found)
    assert len(found) == len(set(found))
    assert set(found) <= {one.fields[1] for one in load.offered}
    assert len(set(found) & acknowledged) == len(acknowledged) - len(lost)
    assert lost <= {one.fields[1] for one in load.acknowledged[: known + 1]}  # one was on its way
    # whoever offers all of it again loses nothing and doubles nothing
    again = await Writer(client, dedupe_window=60.0).append_once(load.offered)
    assert {o for o, a in zip(again, load.offered, strict=True) if a.fields[1] in found} == {
        Outcome.DUPLICATE_NOTICE
    }
    assert sorted(await stored(client)) == sorted(one.fields[1] for one in load.offered)

    assert {error.kind for _, error, _ in load.refused} <= {"unreachable", "nomaster", "readonly"}
    assert max(seconds for _, _, seconds in load.refused) < 3.0
    await watch.look()
    assert back == [True]
    after = await durability(client)
    assert (before.replicated, after.replicated) == (True, True)
    assert after.identity == await watched.replica.info("run_id") != before.identity


async def test_a_master_that_was_demoted_is_left_with_the_next_command(
    watched: Watched, client: Redis
) -> None:
    writer = Writer(client, dedupe_window=60.0)
    looking = connect(watched.url, timeout=1.0)
    await ping(looking)
    # several idle connections, all to the old master
    await asyncio.gather(*(writer.append_once([item()]) for _ in range(5)))
    await until(lambda: in_step(watched))  # so that nothing is lost
    watched.master.send(signal.SIGSTOP)
    await until(lambda: told(watched, watched.replica.port))
    watched.master.send(signal.SIGCONT)
    await watched.master.do("REPLICAOF", "127.0.0.1", watched.replica.port)

    with pytest.raises(StoreError, match="readonly"):
        await durability(looking)
    assert (await durability(looking)).facts["role"] == "master"
    await looking.aclose()
    failures = []
    for _ in range(20):
        try:
            await writer.append_once([item()])
        except StoreError as error:
            failures.append(error)
    assert len(failures) == 1
    assert len(await stored(client)) == 5 + 19


@pytest.fixture(scope="module")
def quiet() -> Iterator[Watched]:
    """One in which nobody takes over."""
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        watched = Watched(server_program(), Path(folder))
        asyncio.run(watched.__aenter__())
        yield watched
        watched.end()


async def test_sentinels_that_are_gone_or_hang_cost_less_than_the_deadline(quiet: Watched) -> None:
    hanging, well = (f"127.0.0.1:{quiet.port_of(number)}" for number in (1, 2))
    url = f"redis+sentinel://127.0.0.1:{free_port()},{hanging},{well}/mymaster"
    quiet.send_sentinel(1, signal.SIGSTOP)
    try:
        client = connect(url, timeout=1.0)
        async with asyncio.timeout(1.5):
            await ping(client)
        await client.aclose()
    finally:
        quiet.send_sentinel(1, signal.SIGCONT)


async def test_who_knows_no_such_master_and_who_is_not_there_is_named(quiet: Watched) -> None:
    nobody = f"redis+sentinel://127.0.0.1:{free_port()}/mymaster"
    for url in (quiet.url.replace("mymaster", "another"), nobody):
        client = connect(url, timeout=1.0)
        with pytest.raises(StoreError) as caught:
            await ping(client)
        await client.aclose()
        name = url.rpartition("/")[2]
        assert str(caught.value) == f"nomaster: no Sentinel knows a master '{name}' that is up"


async def test_master_and_sentinels_have_their_own_passwords(quiet: Watched) -> None:
    for number in range(3):
        await quiet.sentinel(number, "ACL SETUSER", "default", "resetpass", ">of-sentinel")
    await quiet.master.do("ACL SETUSER", "app", "on", ">of-master", "~*", "+@all")
    url = quiet.url.replace("//", "//app:of-master@")
    wrong = quiet.url.replace("//", "//app:of-nobody@")
    assert await kind_of(f"{url}/0?sentinel_password=of-sentinel") == ""
    assert await kind_of(f"{wrong}?sentinel_password=of-sentinel") == "noauth"
    assert await kind_of(f"{url}?sentinel_password=of-nobody") == "nomaster"


async def kind_of(url: str) -> str:
    """The kind of the error with which a store at this address answers; empty if it answers."""
    client = connect(url, timeout=1.0)
    try:
        await ping(client)
    except StoreError as error:
        return error.kind if "of-" not in error.detail else error.detail
    finally:
        await client.aclose()
    return ""


async def in_step(watched: Watched) -> bool:
    offsets = [
        await watched.master.info("master_repl_offset"),
        await watched.replica.info("slave_repl_offset"),
    ]
    return offsets[0] == offsets[1]


async def told(watched: Watched, port: int) -> bool:
    """Whether every Sentinel says that the master is there."""
    answers = [
        await watched.sentinel(number, "SENTINEL GET-MASTER-ADDR-BY-NAME", "mymaster")
        for number in range(3)
    ]
    return all(int(answer[1]) == port for answer in answers)
