"""The published list as the receiver sees it, and its hints, on a real store."""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.serving import end
from agora_sidecar.store import Redis, connect
from receiver.listed import MAX_ADDRESSES, MAX_HINTS, WINDOW, Address, AddressList, Hints
from scheduler.allowlist.addresses import Book, observe
from scheduler.allowlist.report import describe
from scheduler.assembly import publisher
from tests.fakes.clock import FakeClock
from tests.integration.processes import Store, until

pytestmark = pytest.mark.integration

KEYS = Keys("test")
VENDOR, LEAVING, STRANGER = (ip_address(f"198.51.100.{number}") for number in (1, 2, 3))


def published(*addresses: str) -> bytes:
    return json.dumps([{"address": address, "state": "active"} for address in addresses]).encode()


async def publish(redis: Redis, addresses: bytes) -> None:
    command: Any = redis.hset
    await command(KEYS.allowlist, "addresses", addresses)


@pytest.fixture
def listed(redis: Redis, clock: FakeClock) -> AddressList:
    return AddressList(redis, KEYS, clock=clock)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder))
        await store.start()
        yield store
        store.end()


# The list


async def test_what_the_scheduler_publishes_is_understood_retiring_addresses_included(
    redis: Redis, listed: AddressList
) -> None:
    book = observe(Book(), [VENDOR, LEAVING], now=1.0, grace=60.0)
    for poll in range(3):
        book = observe(book, [VENDOR], now=2.0 + poll, grace=60.0)
    snapshot = describe(
        book,
        now=9.0,
        failed_polls=0,
        also_allow={},
        packets={},
        targets=[],
        outcomes={},
        counted={},
    )
    await publisher(redis, KEYS)(snapshot)
    await listed.refresh()

    assert [entry["state"] for entry in snapshot["addresses"]] == ["active", "retiring"]
    assert [listed.verdict(address) for address in (VENDOR, LEAVING, STRANGER, None)] == [
        *("listed", "listed", "unlisted", "unknown")
    ]
    assert (len(listed), listed.ready) == (2, True)


async def test_ipv6_addresses_are_compared_as_addresses(redis: Redis, listed: AddressList) -> None:
    await publish(redis, published("2001:db8::1"))
    await listed.refresh()

    assert listed.verdict(ip_address("2001:db8:0::1")) == "listed"
    assert listed.verdict(ip_address("2001:db8::2")) == "unlisted"


async def test_before_a_list_was_read_every_verdict_is_unknown(listed: AddressList) -> None:
    assert (listed.verdict(VENDOR), listed.ready, listed.age) == ("unknown", False, None)


@pytest.mark.parametrize(
    "odd",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b"[[", b"[" * 100_000, b'["198.51.100.1"]'),
        *(b'[{"address": 1}]', b'[{"state": "active"}]', published(str(VENDOR), "198.51.100.0/24")),
        *(published(str(VENDOR), "x"), published(*["192.0.2.1"] * (MAX_ADDRESSES + 1))),
    ],
    ids=range(13),
)
async def test_a_list_that_is_empty_or_malformed_makes_everybody_unknown(
    redis: Redis, listed: AddressList, odd: bytes
) -> None:
    await publish(redis, published(str(VENDOR)))
    await listed.refresh()
    await publish(redis, odd)
    with capture_logs() as logs:
        for _ in range(3):
            await listed.refresh()

    assert [listed.verdict(address) for address in (VENDOR, STRANGER)] == ["unknown", "unknown"]
    assert [entry["event"] for entry in logs] == ["addresses.not_read"]
    assert logs[0]["kind"] == ("empty" if odd == b"[]" else "malformed")

    await publish(redis, published(str(VENDOR)))
    await listed.refresh()

    assert listed.verdict(VENDOR) == "listed"


@pytest.mark.parametrize("other", ["DEL", "SET"])
async def test_a_list_that_is_gone_or_is_something_else_makes_everybody_unknown(
    redis: Redis, listed: AddressList, other: str
) -> None:
    await publish(redis, published(str(VENDOR)))
    await listed.refresh()
    await redis.delete(KEYS.allowlist)
    if other == "SET":
        await redis.set(KEYS.allowlist, "text")
    await listed.refresh()

    assert (listed.verdict(STRANGER), listed.ready, listed.age) == ("unknown", False, 0.0)


async def test_that_no_list_was_ever_published_is_said_once(listed: AddressList) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await listed.refresh()
    assert [(entry["event"], entry["kind"]) for entry in logs] == [("addresses.not_read", "empty")]


async def test_a_store_that_is_gone_leaves_the_list_and_its_age(
    store: Store, clock: FakeClock
) -> None:
    client = connect(store.url, timeout=0.5)
    listed = AddressList(client, KEYS, clock=clock)
    await publish(client, published(str(VENDOR)))
    await listed.refresh()
    store.send(signal.SIGKILL)
    clock.advance(40)
    with capture_logs() as logs:
        for _ in range(2):
            await listed.refresh()
        assert [listed.verdict(address) for address in (VENDOR, STRANGER)] == ["listed", "unlisted"]
        assert listed.age == 40
        await store.start()
        await publish(client, published(str(VENDOR)))
        await listed.refresh()
        assert listed.age == 0
        store.send(signal.SIGKILL)
        await listed.refresh()
    await client.aclose()
    assert [entry["event"] for entry in logs] == ["addresses.not_read"] * 2
    assert [(entry["kind"], entry["kept"]) for entry in logs] == [("unreachable", 1)] * 2


async def test_it_follows_the_list_for_ever(redis: Redis) -> None:
    listed = AddressList(redis, KEYS, clock=SystemClock())
    running = asyncio.create_task(listed.run(interval=0.01))
    try:
        for address in (VENDOR, LEAVING):
            await publish(redis, published(str(address)))
            await until(partial(is_listed, listed, address))
        assert listed.verdict(VENDOR) == "unlisted"
    finally:
        await end([running])


def is_listed(listed: AddressList, address: Address) -> bool:
    return listed.verdict(address) == "listed"


class BrokenStore:
    """A driver with a bug."""

    async def hget(self, *_: object) -> bytes:
        raise RuntimeError("a bug")

    async def execute_command(self, *_: object) -> bytes:
        raise RuntimeError("a bug")


async def test_a_bug_while_reading_ends_nothing(clock: FakeClock) -> None:
    broken: Any = BrokenStore()
    with capture_logs() as logs:
        running = asyncio.create_task(AddressList(broken, KEYS, clock=clock).run())
        await until(lambda: len(clock.slept) == 1)
        clock.advance(2)
        await until(lambda: len(clock.slept) == 2)
        await end([running])
    assert [entry["event"] for entry in logs] == ["addresses.watch_failed"] * 2


# Hints


@asynccontextmanager
async def running(hints: Hints) -> AsyncIterator[None]:
    task = asyncio.create_task(hints.run())
    try:
        yield
    finally:
        await end([task])


async def on_stream(redis: Redis) -> list[dict[str, str]]:
    entries: Any = await redis.xrange(KEYS.hints)
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]


def address(number: int) -> IPv4Address:
    return IPv4Address(0x08000000 + number)


async def test_an_unlisted_address_is_told_with_its_source_and_time(
    redis: Redis, clock: FakeClock
) -> None:
    hints = Hints(redis, KEYS, clock=clock)
    async with running(hints):
        assert hints.offer(STRANGER, "default")
        await until(lambda: redis.xlen(KEYS.hints))
    assert await on_stream(redis) == [
        {
            "kind": "unlisted",
            "address": str(STRANGER),
            "source": "default",
            "receivedms": str(int(clock.now() * 1000)),
        }
    ]


async def test_an_address_is_told_once_a_minute(redis: Redis, clock: FakeClock) -> None:
    hints = Hints(redis, KEYS, clock=clock)
    async with running(hints):
        offers = [hints.offer(STRANGER, "default") for _ in range(3)]
        clock.advance(WINDOW - 0.001)
        offers.append(hints.offer(STRANGER, "other"))
        clock.advance(0.001)
        offers.append(hints.offer(STRANGER, "default"))
        clock.jump_for_test(-3600)
        offers.append(hints.offer(STRANGER, "default"))
        assert offers == [True, False, False, False, True, False]
        await until(lambda: redis.xlen(KEYS.hints))
        hints.offer(VENDOR, "last")
        await until(lambda: on_stream_is(redis, "last"))
    assert [entry["source"] for entry in await on_stream(redis)] == ["default", "default", "last"]


async def on_stream_is(redis: Redis, source: str) -> bool:
    entries = await on_stream(redis)
    return bool(entries) and entries[-1]["source"] == source


async def test_no_minute_has_more_than_sixty(redis: Redis, clock: FakeClock) -> None:
    hints = Hints(redis, KEYS, clock=clock)
    accepted: list[float] = []
    for number in range(5000):
        if hints.offer(address(number), "default"):
            accepted.append(clock.monotonic())
        clock.advance(0.05)
    assert len(accepted) > 3 * MAX_HINTS
    for start in accepted:
        assert sum(start <= at < start + WINDOW for at in accepted) <= MAX_HINTS


async def test_the_stream_stays_short(redis: Redis, clock: FakeClock) -> None:
    for number in range(3000):
        await redis.xadd(KEYS.hints, {"n": number})
    hints = Hints(redis, KEYS, clock=clock)
    async with running(hints):
        hints.offer(STRANGER, "default")
        await until(lambda: on_stream_is_short(redis))


async def on_stream_is_short(redis: Redis) -> bool:
    return int(await redis.xlen(KEYS.hints)) < 1200


async def test_a_store_that_is_gone_is_said_once_and_delays_nobody(
    store: Store, clock: FakeClock
) -> None:
    client = connect(store.url, timeout=0.5)
    hints = Hints(client, KEYS, clock=clock)
    with capture_logs() as logs:
        async with running(hints):
            store.send(signal.SIGKILL)
            for number in range(3):
                assert hints.offer(address(number), "default")
            await until(lambda: logs)
            await store.start()
            hints.offer(STRANGER, "default")
            await until(lambda: len(logs) == 2)
        assert [e["address"] for e in await on_stream(client)][-1:] == [str(STRANGER)]
    await client.aclose()
    assert [entry["event"] for entry in logs] == ["hints.interrupted", "hints.resumed"]


async def test_a_store_that_hangs_delays_nobody(store: Store, clock: FakeClock) -> None:
    client = connect(store.url, timeout=30.0)
    hints = Hints(client, KEYS, clock=clock)
    async with running(hints):
        store.send(signal.SIGSTOP)
        begun = SystemClock().monotonic()
        for number in range(MAX_HINTS):
            hints.offer(address(number), "default")
            await asyncio.sleep(0)
        assert SystemClock().monotonic() - begun < 1
        store.send(signal.SIGCONT)
        await until(lambda: on_stream_is_full(client))
    await client.aclose()


async def on_stream_is_full(client: Redis) -> bool:
    return int(await client.xlen(KEYS.hints)) == MAX_HINTS


async def test_a_bug_while_telling_ends_nothing(clock: FakeClock) -> None:
    broken: Any = BrokenStore()
    hints = Hints(broken, KEYS, clock=clock)
    with capture_logs() as logs:
        task = asyncio.create_task(hints.run())
        for number in range(2):
            hints.offer(address(number), "default")
            await asyncio.sleep(0.01)
        assert not task.done()
        await end([task])
    assert [(entry["event"], entry["kind"]) for entry in logs] == [("hints.interrupted", "bug")]


async def test_deliveries_are_counted_and_told_from_time_to_time(
    redis: Redis, clock: FakeClock
) -> None:
    hints = Hints(redis, KEYS, clock=clock)
    task = asyncio.create_task(hints.report(interval=30.0))
    try:
        for verdict in ("listed", "listed", "unlisted"):
            hints.count(verdict)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        clock.advance(30.0)
        await until(lambda: redis.xlen(KEYS.hints))
        clock.advance(30.0)  # nothing came meanwhile: nothing is told
        hints.count("unknown")
        await until(lambda: clock.slept.count(30.0) == 3)
        clock.advance(30.0)
        await until(lambda: redis.xlen(KEYS.hints))
    finally:
        await end([task])
    told = await on_stream(redis)
    assert told[0] == {"kind": "deliveries", "listed": "2", "unlisted": "1"}


async def test_deliveries_that_the_store_does_not_take_are_told_later(clock: FakeClock) -> None:
    client = connect("redis://127.0.0.1:1/0", timeout=0.2)
    hints = Hints(client, KEYS, clock=clock)
    task = asyncio.create_task(hints.report(interval=30.0))
    try:
        hints.count("listed")
        await asyncio.sleep(0)
        with capture_logs() as logs:
            clock.advance(30.0)
            await until(lambda: clock.slept.count(30.0) == 2)
        assert [entry["event"] for entry in logs] == ["hints.interrupted"]
        assert hints.untold == {"listed": 1}
    finally:
        await end([task])
        await client.aclose()
