"""The receiver before a store that fails in every other way: refusing, slow, loading, locked, cut.

Every answer is 200, or 503 where neither store nor spool can take it; afterwards every notice that
was acknowledged is on the stream exactly once.
"""

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agora_sidecar.keys import Keys
from agora_sidecar.store import StoreError, connect
from agora_sidecar.stream import Append, GroupReader
from receiver.metrics import ReceiverMetrics
from receiver.spool.drain import Drain
from receiver.spool.spool import Spool
from tests.fakes.clock import FakeClock
from tests.fakes.store_writer import FakeWriter
from tests.faults.proxy import Proxy
from tests.integration.processes import Sidecar, Store, get, sidecar, until
from tests.integration.test_receiver_process import (
    ALWAYS,
    accepts,
    ids,
    notice,
    send,
    servers,
    spool_is_empty,
)
from tests.integration.topology import free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(60)]

HEALED = 10.0
"""Seconds until all is well again: 5 are promised, the rest is for a busy machine."""


class Worst(Random):
    """Always the longest delay, and always a cut on the way down."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)

    def choice(self, seq: Any) -> Any:
        return seq[-1]


@pytest.fixture(params=servers(), ids=lambda program: Path(program).name)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(request.param, Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


@pytest.fixture
async def proxy(store: Store) -> AsyncIterator[Proxy]:
    proxy = Proxy(
        free_port(),
        lambda: asyncio.open_unix_connection(f"{store.folder}/s"),
        rng=Worst(1),
        reach={"up": 1, "down": 3},
    )
    await proxy.accept()
    yield proxy
    proxy.refuse()


class Sent:
    """Sends notices one after the other, and knows which were acknowledged and how."""

    def __init__(self, receiver: Sidecar) -> None:
        self.receiver = receiver
        self.answers: dict[int, tuple[int, str]] = {}

    async def more(self, count: int) -> Counter[str]:
        first = len(self.answers)
        numbers = range(first, first + count)
        got = await asyncio.gather(*(send(self.receiver, notice(n)) for n in numbers))
        self.answers.update(zip(numbers, got, strict=True))
        assert {status for status, _ in got} == {200}
        return Counter(answer for _, answer in got)

    async def all_once(self, store: Store) -> None:
        """Wait until the spool is empty; then each is on the stream once."""
        await until(lambda: spool_is_empty(self.receiver), seconds=HEALED)
        assert sorted(await ids(store)) == sorted(f"n-{n}".encode() for n in self.answers)


async def survived(receiver: Sidecar, sent: Sent, store: Store, *kinds: str) -> None:
    """All is there once, the store takes events again, and what happened was said in these words."""
    await sent.all_once(store)
    assert await sent.more(3) == {"stored": 3}
    await sent.all_once(store)
    said = {line["kind"] for line in receiver.said("inbox.append_failed")}
    said |= {line["kind"] for line in receiver.said("store.lost")}
    assert set(kinds) <= said
    assert "Traceback" not in receiver.out.read_text()


async def test_a_store_that_refuses_connections(store: Store, proxy: Proxy, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{proxy.port}"
    async with sidecar("receiver", tmp_path, url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(5) == {"stored": 5}
        proxy.refuse()
        assert await sent.more(20) == {"spooled": 20}
        await proxy.accept()
        await survived(receiver, sent, store, "unreachable")


@pytest.mark.parametrize(("each_way", "answer"), [(0.2, "stored"), (0.8, "spooled")])
async def test_a_slow_store_is_waited_for_as_long_as_the_hedge_says(
    store: Store, proxy: Proxy, tmp_path: Path, each_way: float, answer: str
) -> None:
    url = f"redis://127.0.0.1:{proxy.port}"
    async with sidecar("receiver", tmp_path, url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(1) == {"stored": 1}
        proxy.delay = each_way
        began = time.monotonic()
        assert await sent.more(20) == {answer: 20}
        assert time.monotonic() - began < 2.0  # ack_deadline
        await proxy.mend()
        await survived(receiver, sent, store)


async def test_a_connection_that_is_cut_within_a_reply(
    store: Store, proxy: Proxy, tmp_path: Path
) -> None:
    url = f"redis://127.0.0.1:{proxy.port}"
    async with sidecar("receiver", tmp_path, url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(1) == {"stored": 1}
        proxy.cut()
        assert await sent.more(20) == {"spooled": 20}
        await proxy.mend()
        await survived(receiver, sent, store, "unreachable")


async def test_a_store_that_cannot_save_refuses_every_write(store: Store, tmp_path: Path) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(1) == {"stored": 1}
        obstacle = store.folder / "dump.rdb"
        obstacle.mkdir()  # where the snapshot's file should be
        await store.do("CONFIG", "SET", "save", "3600 1")
        await store.do("BGSAVE")
        await until(lambda: last_save(store, "err"))
        assert await sent.more(20) == {"spooled": 20}
        obstacle.rmdir()
        await store.do("BGSAVE")
        await survived(receiver, sent, store, "misconf")


async def last_save(store: Store, status: str) -> bool:
    return bool((await store.do("INFO"))["rdb_last_bgsave_status"] == status)


async def test_a_store_that_is_still_loading(store: Store, tmp_path: Path) -> None:
    filling = "for i = 1, 8000 do redis.call('SET', 'filling:' .. i, 'x') end"
    await store.do("EVAL", filling, "0")
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(1) == {"stored": 1}
        store.send(signal.SIGKILL)
        store.options = (*ALWAYS, "--key-load-delay", "400")  # µs for each command of the file
        starting = asyncio.create_task(store.start())
        await until(lambda: is_told(receiver, "loading"))
        assert not starting.done()
        assert await sent.more(20) == {"spooled": 20}
        await starting
        await survived(receiver, sent, store, "loading")


async def is_told(receiver: Sidecar, kind: str) -> bool:
    """Whether the receiver says that the store is gone, and that this is how."""
    text = (await get(receiver.ports.receiver_ops, "/readyz"))[1]
    return bool(json.loads(text)["dependencies"]["redis"].get("why", "").startswith(f"{kind}: "))


@pytest.mark.parametrize(
    ("login", "word"), [("", "noauth"), ("?username=default&password=wrong", "noauth")]
)
async def test_a_store_that_wants_another_password(
    store: Store, tmp_path: Path, login: str, word: str
) -> None:
    async with sidecar("receiver", tmp_path, store.url + login, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(1) == {"stored": 1}
        admin = connect(store.url, connections=1)
        execute: Any = admin.execute_command
        await execute("CONFIG SET", "requirepass", "right")
        await execute("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await sent.more(20) == {"spooled": 20}
        await until(lambda: receiver.said("store.lost"))
        await execute("CONFIG SET", "requirepass", "")
        await admin.aclose()
        await survived(receiver, sent, store, word)


async def test_an_idle_connection_that_the_server_closes(store: Store, tmp_path: Path) -> None:
    await store.do("CONFIG", "SET", "timeout", "1")
    await store.do("CONFIG", "SET", "loglevel", "verbose")
    async with sidecar(
        "receiver", tmp_path, store.url, receiver='require_listed = "observe"', ready="/readyz"
    ) as receiver:
        sent = Sent(receiver)
        assert await sent.more(20) == {"stored": 20}
        log = store.folder / "log"
        await until(lambda: "Closing idle client" in log.read_text())
        assert await sent.more(20) == {"stored": 20}
        await survived(receiver, sent, store)
        assert not receiver.said("inbox.append_failed")


async def test_a_restart_with_its_file_loses_nothing(store: Store, tmp_path: Path) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        sent = Sent(receiver)
        assert await sent.more(20) == {"stored": 20}
        store.send(signal.SIGKILL)
        assert await sent.more(20) == {"spooled": 20}
        await store.start()
        await survived(receiver, sent, store)


async def test_a_restart_with_an_older_file_heals_stream_group_and_script(
    store: Store, tmp_path: Path
) -> None:
    """What the older file lacks had been on the store's own disk: that alone is not ours to heal."""
    client = connect(store.url)
    reader = GroupReader(client, Keys(), group="g", consumer="c")
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        assert await send(receiver, notice(1)) == (200, "stored")
        older = tmp_path / "older"
        shutil.copytree(store.folder / "appendonlydir", older)
        assert await send(receiver, notice(2)) == (200, "stored")
        await until(lambda: read(reader, "n-2"))

        store.send(signal.SIGKILL)
        assert await send(receiver, notice(3)) == (200, "spooled")
        shutil.rmtree(store.folder / "appendonlydir")
        shutil.copytree(older, store.folder / "appendonlydir")
        await store.start()
        began = time.monotonic()
        await until(lambda: spool_is_empty(receiver), seconds=HEALED)
        await until(lambda: read(reader, "n-3"), seconds=HEALED)
        await until(lambda: accepts(receiver, 4), seconds=HEALED)
        await until(lambda: read(reader, "n-4"), seconds=HEALED)
        assert time.monotonic() - began < HEALED
        assert await ids(store) == [b"n-1", b"n-3", b"n-4"]
    await client.aclose()


async def read(reader: GroupReader, wanted: str) -> bool:
    """Whether the group is given this one now; the store may be gone."""
    try:
        return wanted in {entry.id for entry in await reader.read(count=100, block=0.05)}
    except StoreError:
        return False


async def test_a_full_spool_and_no_store_is_503_until_the_store_is_back(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar(
        "receiver", tmp_path, store.url, receiver='spool_limit = "1MiB"', ready="/readyz"
    ) as receiver:
        store.send(signal.SIGKILL)
        safe: list[int] = []
        refused = 0
        for number in range(40):
            answer = await send(receiver, notice(number, filling="x" * 100_000))
            assert answer in {(200, "spooled"), (503, "unavailable")}
            safe += [number] if answer[0] == 200 else []
            refused += answer[0] == 503
        assert safe
        assert refused
        await store.start()
        await until(lambda: spool_is_empty(receiver), seconds=HEALED)
        assert sorted(await ids(store)) == sorted(f"n-{n}".encode() for n in safe)
        assert await send(receiver, notice(100)) == (200, "stored")


async def test_no_disk_and_no_store_is_503_until_the_disk_is_back(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        assert await send(receiver, notice(1)) == (200, "stored")
        store.send(signal.SIGKILL)
        assert await send(receiver, notice(2)) == (503, "unavailable")
        (tmp_path / "data").unlink()
        assert await send(receiver, notice(2)) == (200, "spooled")
        await store.start()
        await until(lambda: holds(store, b"n-2"), seconds=HEALED)
        await until(lambda: accepts(receiver, 3), seconds=HEALED)
        assert await ids(store) == [b"n-1", b"n-2", b"n-3"]


async def holds(store: Store, name: bytes) -> bool:
    return name in await ids(store)


WINDOW = 1000.0
DAYS = 10 * 86400.0


class Given:
    """A spool that is given back to a store in memory, by a clock that jumps."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.clock = clock
        self.store = FakeWriter()
        metrics = ReceiverMetrics(CollectorRegistry())
        self.spool = Spool(lambda: folder / "spool-0.db", limit=1 << 24, metrics=metrics)
        self.drain = Drain(
            self.spool,
            self.store,
            keep=lambda: 2 * WINDOW,
            window=WINDOW,
            clock=clock,
            metrics=metrics,
        )

    async def put(self) -> None:
        fields = ["id", "a", "source", "/agora/main", "origin", "webhook"]
        item = Append("events", ("mark",), fields, b"a")
        await self.spool.put([(item, int(self.clock.now() * 1000))])

    async def give_back(self) -> None:
        while await self.drain.step():
            pass


@pytest.fixture
async def given(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Given]:
    given = Given(tmp_path, clock)
    yield given
    await given.spool.close()


@pytest.mark.parametrize("jump", [-DAYS, DAYS])
async def test_what_waits_is_given_back_once_whatever_the_wall_clock_did(
    given: Given, clock: FakeClock, jump: float
) -> None:
    await given.put()
    clock.jump_for_test(jump)
    await given.give_back()
    assert given.store.stored == [b"a"]


@pytest.mark.parametrize("jump", [-DAYS, DAYS])
async def test_a_copy_is_offered_again_after_a_jump_and_dropped_by_the_monotonic_clock(
    given: Given, clock: FakeClock, jump: float
) -> None:
    await given.put()
    await given.give_back()
    clock.jump_for_test(jump)
    assert await given.spool.offer_again() == 1
    await given.give_back()
    clock.advance(2 * WINDOW - 1)
    await given.drain.tidy()
    assert given.drain.facts is not None
    assert given.drain.facts.copies == 1
    clock.advance(2)
    await given.drain.tidy()
    assert given.drain.facts.copies == 0
