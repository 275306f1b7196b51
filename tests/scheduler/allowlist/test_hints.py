"""Hints on a real store become calls: at once, coalesced, whatever the store does."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.store import Redis, StoreError, connect
from scheduler.allowlist.hints import BATCH, MIN_GAP, MOST, SHOWN, HintReader
from tests.fakes.clock import FakeClock
from tests.integration.processes import Store, until

pytestmark = pytest.mark.integration

KEYS = Keys("test")


class Poll:
    """Counts how often it was asked for; fails when told."""

    def __init__(self) -> None:
        self.asked = 0
        self.fail_with: Exception | None = None

    async def __call__(self, addresses: Sequence[str]) -> None:
        self.asked += 1
        if self.fail_with is not None:
            raise self.fail_with


@pytest.fixture
def poll() -> Poll:
    return Poll()


def reader(redis: Redis, poll: Poll, clock: FakeClock) -> HintReader:
    return HintReader(redis, KEYS, on_hint=poll, clock=clock, block=0.01)


async def hint(redis: Redis, address: str = "198.51.100.1", *, entry_id: str = "*") -> None:
    await redis.xadd(KEYS.hints, {"kind": "unlisted", "address": address}, id=entry_id)


@asynccontextmanager
async def running(redis: Redis, poll: Poll, *, min_gap: float = MIN_GAP) -> AsyncIterator[None]:
    stop = asyncio.Event()
    hints = HintReader(redis, KEYS, on_hint=poll, clock=SystemClock(), min_gap=min_gap, block=0.01)
    task = asyncio.create_task(hints.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_what_was_there_before_the_start_is_no_reason_to_ask(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    await hint(redis)
    hints = reader(redis, poll, clock)
    for _ in range(3):
        await hints.step()
    assert poll.asked == 0

    await hint(redis)
    await hints.step()
    assert poll.asked == 1


async def test_the_first_hint_of_a_stream_that_was_not_there_is_taken(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    hints = reader(redis, poll, clock)
    await hints.step()
    await hint(redis)
    await hints.step()
    assert poll.asked == 1


async def test_hints_within_the_gap_are_one_call_at_its_end(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    hints = reader(redis, poll, clock)
    await hints.step()
    with capture_logs() as logs:
        await hint(redis, "198.51.100.1")
        await hints.step()
        for number in (2, 3, 3):
            await hint(redis, f"198.51.100.{number}")
            await hints.step()
        clock.advance(MIN_GAP - 1)
        await hints.step()
        assert poll.asked == 1
        clock.advance(1)
        await hints.step()
        assert poll.asked == 2
        clock.advance(10 * MIN_GAP)
        await hints.step()
        assert poll.asked == 2
    assert logs == [
        {
            "event": "allowlist.hint",
            "log_level": "info",
            "hints": 1,
            "addresses": ["198.51.100.1"],
        },
        {
            "event": "allowlist.hint",
            "log_level": "info",
            "hints": 3,
            "addresses": ["198.51.100.2", "198.51.100.3"],
        },
    ]


async def test_after_a_quiet_gap_the_next_hint_is_a_call_at_once(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    hints = reader(redis, poll, clock)
    await hints.step()
    for expected in (1, 2, 3):
        await hint(redis)
        await hints.step()
        assert poll.asked == expected
        clock.advance(MIN_GAP)


async def test_many_hints_are_one_call_and_one_short_line(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    hints = reader(redis, poll, clock)
    await hints.step()
    for number in range(BATCH + 50):
        await hint(redis, f"{'x' * 100}{number}")
    await redis.xadd(KEYS.hints, {b"\xff": b"\xff"})
    with capture_logs() as logs:
        await hints.step()
        await hints.step()
        clock.advance(MIN_GAP)
        await hints.step()
    assert [entry["hints"] for entry in logs] == [BATCH, 51]
    assert all(len(entry["addresses"]) <= SHOWN for entry in logs)
    assert all(len(address) <= 45 for entry in logs for address in entry["addresses"])
    assert poll.asked == 2


@pytest.mark.parametrize("last", [None, "5-0"])
async def test_a_store_whose_ids_went_back_is_read_from_its_beginning(
    redis: Redis, poll: Poll, clock: FakeClock, last: str | None
) -> None:
    await hint(redis, entry_id="99999999999999-0")
    hints = reader(redis, poll, clock)
    await hints.step()
    await redis.delete(KEYS.hints)
    if last is not None:
        await hint(redis, entry_id=last)
        await hints.step()
        await hints.step()
        assert poll.asked == 1
        clock.advance(MIN_GAP)
    else:
        await hints.step()
    await hint(redis, entry_id="7-0")
    await hints.step()
    assert poll.asked == (1 if last is None else 2)


async def test_a_hint_is_owed_while_the_store_is_gone(clock: FakeClock, poll: Poll) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder))
        await store.start()
        client = connect(store.url, timeout=0.5)
        hints = reader(client, poll, clock)
        await hints.step()
        for _ in range(2):
            await hint(client)
            await hints.step()
        assert poll.asked == 1
        store.send(signal.SIGKILL)
        clock.advance(MIN_GAP)
        with pytest.raises(StoreError):
            await hints.step()
        assert poll.asked == 2
        await client.aclose()
        store.end()


async def test_a_store_that_is_absent_and_then_comes_is_waited_for(poll: Poll) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder))
        client = connect(store.url, timeout=0.5)
        with capture_logs() as logs:
            async with running(client, poll, min_gap=0.01):
                await until(lambda: logs)
                await store.start()
                await until(lambda: len(logs) == 2)
                await hint(client)
                await until(lambda: poll.asked == 1)
                store.send(signal.SIGKILL)
                await until(lambda: len(logs) == 4)
                await store.start()
                await until(lambda: len(logs) == 5)
                await hint(client)
                await until(lambda: poll.asked == 2)
        await client.aclose()
        store.end()
    assert [entry["event"] for entry in logs] == [
        *("allowlist.hints_interrupted", "allowlist.hints_resumed", "allowlist.hint"),
        *("allowlist.hints_interrupted", "allowlist.hints_resumed", "allowlist.hint"),
    ]


async def test_it_ends_when_told_even_while_it_pauses(poll: Poll) -> None:
    client = connect("unix:///nonexistent/socket", timeout=0.5)
    stop = asyncio.Event()
    hints = HintReader(client, KEYS, on_hint=poll, clock=FakeClock(), block=0.01)
    with capture_logs() as logs:
        task = asyncio.create_task(hints.run(stop))
        await until(lambda: logs)
        stop.set()
        await asyncio.wait_for(task, 5)
    await client.aclose()


async def test_a_call_that_fails_is_not_repeated_within_the_gap(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    hints = reader(redis, poll, clock)
    await hints.step()
    poll.fail_with = RuntimeError("a bug")
    await hint(redis)
    with pytest.raises(RuntimeError):
        await hints.step()
    poll.fail_with = None
    await hint(redis)
    await hints.step()
    assert poll.asked == 1

    clock.advance(MIN_GAP)
    await hints.step()
    assert poll.asked == 2


async def test_a_call_that_fails_ends_nothing(redis: Redis, poll: Poll) -> None:
    poll.fail_with = RuntimeError("a bug")

    async def asked_again(before: int) -> bool:
        await hint(redis)
        return poll.asked > before

    with capture_logs() as logs:
        async with running(redis, poll, min_gap=0.01):
            await until(lambda: asked_again(0))
            await until(lambda: asked_again(1))
    assert {"allowlist.hint", "allowlist.hint_failed"} <= {entry["event"] for entry in logs}


async def test_a_stream_that_is_something_else_is_no_end(redis: Redis, poll: Poll) -> None:
    await redis.set(KEYS.hints, "text")
    with capture_logs() as logs:
        async with running(redis, poll):
            await until(lambda: logs)
            await redis.delete(KEYS.hints)
            await until(lambda: len(logs) == 2)
            await hint(redis)
            await until(lambda: poll.asked == 1)
    assert logs[0]["event"] == "allowlist.hints_interrupted"


async def test_what_receivers_tell_of_deliveries_is_no_hint(
    redis: Redis, poll: Poll, clock: FakeClock
) -> None:
    told: list[dict[str, int]] = []
    hints = HintReader(
        redis,
        KEYS,
        on_hint=poll,
        on_deliveries=lambda counts: told.append(dict(counts)),
        clock=clock,
        block=0.01,
    )
    await hints.step()
    for fields in ({"listed": "7", "unlisted": "1"}, {"listed": "-3", "unknown": "9" * 40}):
        await redis.xadd(KEYS.hints, {"kind": "deliveries", **fields})  # type: ignore[dict-item]
    await hints.step()
    assert poll.asked == 0
    assert told[0] == {"listed": 7, "unlisted": 1, "unknown": 0}
    assert "listed" not in told[1]
    assert told[1]["unknown"] <= MOST
