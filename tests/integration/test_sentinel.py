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
        self.acknowledged: list[Append] = []
        self.refused: list[tuple[Append, StoreError, float]] = []

    async def run(self) -> None:
        while True:
            one, began = item(), time.monotonic()
            try:
                assert await self._writer.append_once([one]) == [Outcome.STORED]
            except StoreError as error:
                self.refused.append((one, error, time.monotonic() - began))
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.append(one)
            await asyncio.sleep(0.001)


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
    task.cancel()
    await asyncio.wait([task])

    # what the fail-over lost was acknowledged; nothing is there that was never offered, or twice
    found = await stored(client)
    acknowledged = {one.fields[1] for one in load.acknowledged}
    refused = {one.fields[1] for one, _, _ in load.refused}
    lost = acknowledged - set(found)
    assert len(found) == len(set(found))
    assert set(found) <= acknowledged | refused
    assert len(set(found) & acknowledged) == len(acknowledged) - len(lost)
    assert lost <= {one.fields[1] for one in load.acknowledged[:known]}
    # whoever offers all of it again loses nothing and doubles nothing
    everything = load.acknowledged + [one for one, _, _ in load.refused]
    again = await Writer(client, dedupe_window=60.0).append_once(everything)
    assert {o for o, a in zip(again, everything, strict=True) if a.fields[1] in found} == {
        Outcome.DUPLICATE_NOTICE
    }
    assert sorted(await stored(client)) == sorted(acknowledged | refused)

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
    # several idle connections, all to the old master
    await asyncio.gather(*(writer.append_once([item()]) for _ in range(5)))
    # writes stop, so that nothing is lost: the replica has it all
    await until(lambda: in_step(watched))
    await watched.sentinel(0, "SENTINEL FAILOVER", "mymaster")
    await until(lambda: role(watched, "slave"))
    await until(lambda: told(watched, watched.replica.port))

    failures = []
    for _ in range(20):
        try:
            await writer.append_once([item()])
        except StoreError as error:
            failures.append(error)
    assert len(failures) <= 1
    assert len(await stored(client)) == 5 + 20 - len(failures)


async def test_a_demoted_master_that_is_only_looked_at_is_left_as_well(
    watched: Watched, client: Redis
) -> None:
    await ping(client)
    await watched.sentinel(0, "SENTINEL FAILOVER", "mymaster")
    await until(lambda: role(watched, "slave"))
    await until(lambda: told(watched, watched.replica.port))
    with pytest.raises(StoreError, match="readonly"):
        await durability(client)
    assert (await durability(client)).facts["role"] == "master"


async def test_two_sentinels_that_are_gone_or_hang_cost_less_than_the_deadline(
    watched: Watched,
) -> None:
    watched.send_sentinel(0, signal.SIGKILL)
    watched.send_sentinel(1, signal.SIGSTOP)
    try:
        client = connect(watched.url, timeout=1.0)
        async with asyncio.timeout(1.5):
            await ping(client)
        await client.aclose()
    finally:
        watched.send_sentinel(1, signal.SIGCONT)


async def test_who_knows_no_such_master_and_who_is_not_there_is_named(watched: Watched) -> None:
    nobody = f"redis+sentinel://127.0.0.1:{free_port()}/mymaster"
    for url in (watched.url.replace("mymaster", "another"), nobody):
        client = connect(url, timeout=1.0)
        with pytest.raises(StoreError, match="nomaster"):
            await ping(client)
        await client.aclose()


async def test_master_and_sentinels_have_their_own_passwords(watched: Watched) -> None:
    await watched.replica.do("CONFIG SET", "masterauth", "of-master")
    await watched.master.do("CONFIG SET", "requirepass", "of-master")
    for number in range(3):
        await watched.sentinel(number, "SENTINEL CONFIG SET", "requirepass", "of-sentinel")
    url = watched.url.replace("//", "//:of-master@")
    for asked, kind in (
        (f"{url}/0?sentinel_password=of-sentinel", ""),
        (f"{watched.url}?sentinel_password=of-sentinel", "noauth"),
        (url, "nomaster"),
    ):
        client = connect(asked, timeout=1.0)
        try:
            await ping(client)
            assert not kind
        except StoreError as error:
            assert error.kind == kind
            assert "of-" not in error.detail
        await client.aclose()


async def in_step(watched: Watched) -> bool:
    offsets = [
        await watched.master.info("master_repl_offset"),
        await watched.replica.info("slave_repl_offset"),
    ]
    return offsets[0] == offsets[1]


async def role(watched: Watched, wanted: str) -> bool:
    return await watched.master.info("role") == wanted


async def told(watched: Watched, port: int) -> bool:
    """Whether every Sentinel says that the master is there."""
    answers = [
        await watched.sentinel(number, "SENTINEL GET-MASTER-ADDR-BY-NAME", "mymaster")
        for number in range(3)
    ]
    return all(int(answer[1]) == port for answer in answers)
