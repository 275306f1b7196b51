"""The kit for readers, against real servers that are killed, emptied and written to meanwhile."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis as Driver
from structlog.testing import capture_logs

from agora_sidecar.consumer import Consumer, Delivery, StoreError, to_cloudevent
from agora_sidecar.consumer.copies import EventCopier
from agora_sidecar.consumer.history import Feed
from agora_sidecar.consumer.outage import LONGEST_PAUSE, Outage, pause
from agora_sidecar.entry import Entry
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, connect
from tests.conftest import start_store
from tests.fakes.clock import FakeClock
from tests.integration.processes import Store, until
from tests.integration.test_receiver_process import each_server, servers
from tests.integration.topology import Cluster

pytestmark = pytest.mark.integration
KEYS = Keys()
DEAD = "{ncs}:dead:billing"
IDLE = 0.3
"""Seconds after which these tests' entries may be claimed."""


@pytest.fixture(scope="module", params=each_server())
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        process, url = start_store(request.param, Path(folder))
        yield url
        process.terminate()
        process.wait(10)


@pytest.fixture
async def client(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(params=each_server())
async def mortal(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A store of the test's own, without persistence: it comes back empty."""
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(request.param, Path(folder))
        await store.start()
        yield store
        store.end()


def consumer(store: Redis | str, name: str = "one", **more: Any) -> Consumer:
    options = {"group": "billing", "block": 0.05, "claim_idle": IDLE} | more
    return Consumer(store, name=name, **options)


async def put(client: Redis, *ids: str, key: str = KEYS.events, **fields: str | bytes) -> list[str]:
    """Entries with these ids; the stream ids they got."""
    added = []
    for one in ids:
        entry: dict[Any, Any] = {"id": one, "source": "/agora/default", "data": b"{}"} | fields
        added.append((await client.xadd(key, entry)).decode())
    return added


async def take(events: Consumer, count: int, *, acknowledge: bool = True) -> list[Delivery]:
    found: list[Delivery] = []
    async with asyncio.timeout(20):
        async for delivery in events:
            found.append(delivery)
            if acknowledge:
                await delivery.acknowledge()
            if len(found) == count:
                break
    return found


async def pending(client: Redis, key: str = KEYS.events) -> list[dict[str, Any]]:
    return list(await client.xpending_range(key, "billing", min="-", max="+", count=1000))


def ids(found: list[Delivery]) -> list[str]:
    return [delivery.entry.id for delivery in found]


async def test_a_new_group_reads_from_the_beginning_and_leaves_nothing_pending(
    client: Redis,
) -> None:
    await put(client, "a", "b", "c")

    async with consumer(client) as events:
        assert ids(await take(events, 3)) == ["a", "b", "c"]

    assert await pending(client) == []


async def test_a_group_that_begins_now_passes_over_what_was(client: Redis) -> None:
    await put(client, "old")

    async with consumer(client, begin="now") as events:
        await put(client, "new")
        assert ids(await take(events, 1)) == ["new"]
    async with consumer(client, begin="now") as events:
        await put(client, "later")
        assert ids(await take(events, 1)) == ["later"]


async def test_a_group_that_began_now_and_is_deleted_does_not_read_history(client: Redis) -> None:
    await put(client, "old")

    async with consumer(client, begin="now") as events:
        await client.xgroup_destroy(KEYS.events, "billing")
        await put(client, "new")
        assert ids(await take(events, 1)) == ["new"]


async def test_what_was_not_acknowledged_comes_again_to_another_member(client: Redis) -> None:
    await put(client, "a")
    async with consumer(client, "dies") as events:
        [first] = await take(events, 1, acknowledge=False)

    async with consumer(client, "heir") as events:
        [second] = await take(events, 1)

    assert (first.deliveries, second.deliveries) == (1, 2)
    assert second.entry == first.entry
    assert await pending(client) == []


async def test_what_was_only_read_ahead_is_given_back_when_leaving(client: Redis) -> None:
    await put(client, *"abcdef")
    async with consumer(client, "leaves", claim_idle=3600.0) as events:
        await take(events, 1)

    assert [row["times_delivered"] for row in await pending(client)] == [0] * 5
    async with consumer(client, "heir", claim_idle=3600.0) as events:
        found = await take(events, 5)
    assert ids(found) == ["b", "c", "d", "e", "f"]
    assert {delivery.deliveries for delivery in found} == {1}


async def test_an_entry_that_somebody_else_took_meanwhile_is_not_handed_out(client: Redis) -> None:
    await put(client, "a", "b")
    async with consumer(client, "slow") as events:
        await take(events, 1)
        await asyncio.sleep(IDLE)  # it holds b for too long
        async with consumer(client, "quick") as others:
            assert ids(await take(others, 1, acknowledge=False)) == ["b"]
            await put(client, "c")
            assert ids(await take(events, 1)) == ["c"]


async def test_what_waits_for_its_turn_keeps_its_holder(client: Redis) -> None:
    await put(client, "a", "b")
    async with consumer(client, "slow") as events:
        await take(events, 1)
        await asyncio.sleep(IDLE)
        [late] = await take(events, 1, acknowledge=False)
        [held] = await pending(client)
        assert (late.entry.id, held["consumer"]) == ("b", b"slow")
        assert held["time_since_delivered"] < IDLE * 1000


async def test_a_handler_that_fails_on_one_entry_gets_it_again_and_the_others_go_on(
    client: Redis,
) -> None:
    [poison, *_] = await put(client, "poison", "a", "b")
    seen: list[str] = []

    async with consumer(client, max_deliveries=3) as events:

        async def handle(entry: Entry) -> None:
            seen.append(entry.id)
            if entry.id == "poison":
                raise ValueError("no such customer")
            if await client.exists(DEAD):
                events.stop()

        running = asyncio.create_task(events.run(handle))
        await until(lambda: client.exists(DEAD))
        await put(client, "last")
        await running

    assert seen.count("poison") == 3
    assert seen[:3] == ["poison", "a", "b"]
    [(_, dead)] = await client.xrange(DEAD)
    assert dead == {
        b"id": b"poison",
        b"source": b"/agora/default",
        b"data": b"{}",
        b"reason": b"ValueError('no such customer')",
        b"deliveries": b"3",
        b"originalid": poison.encode(),
    }
    assert await pending(client) == []


DIES = """
import asyncio, os, sys
from agora_sidecar.consumer import Consumer

async def main():
    options = {"group": "billing", "name": sys.argv[2], "block": 0.05, "claim_idle": 0.3}
    async with Consumer(sys.argv[1], max_deliveries=3, **options) as events:
        async for delivery in events:
            if delivery.entry.id == "poison":
                os._exit(9)
            print(delivery.entry.id, flush=True)
            await delivery.acknowledge()

asyncio.run(main())
"""


async def test_an_entry_that_kills_its_process_each_time_is_buried_and_the_others_are_not(
    url: str, client: Redis
) -> None:
    """A process that dies acknowledges nothing and gives nothing back."""
    await put(client, "poison", *"abc")
    lives, done = 0, []

    async def over() -> bool:
        return bool(await client.exists(DEAD)) and await _none_pending(client)

    while not await over():
        lives += 1
        process = subprocess.Popen(
            [sys.executable, "-c", DIES, url, f"life-{lives}"], stdout=subprocess.PIPE, text=True
        )
        await until(lambda one=process: _ended(one, over))
        process.kill()
        done += [line for line in process.communicate()[0].splitlines() if line in set("abc")]

    assert lives == 4
    assert sorted(done) == ["a", "b", "c"]
    [(_, dead)] = await client.xrange(DEAD)
    assert dead[b"id"] == b"poison"
    assert dead[b"reason"] == b"delivered 3 times, never acknowledged"


async def _ended(process: subprocess.Popen[str], over: Callable[[], Awaitable[bool]]) -> bool:
    return process.poll() is not None or await over()


async def test_two_heirs_bury_an_entry_once(client: Redis) -> None:
    await put(client, "poison")
    async with consumer(client, "dead", max_deliveries=2) as events:
        await take(events, 1, acknowledge=False)
        await take(events, 1, acknowledge=False)

    heirs = [consumer(client, f"heir-{number}", max_deliveries=2) for number in range(4)]
    running = [asyncio.create_task(heir.run(_nothing)) for heir in heirs]
    await until(lambda: client.exists(DEAD))
    await until(lambda: _none_pending(client))
    for heir in heirs:
        heir.stop()
    await asyncio.gather(*running)

    assert await client.xlen(DEAD) == 1


async def _nothing(_: Entry) -> None:
    pass


async def _none_pending(client: Redis) -> bool:
    return await pending(client) == []


async def test_without_a_bound_nothing_is_buried(client: Redis) -> None:
    await put(client, "a")
    async with consumer(client, claim_idle=0.05, max_deliveries=None) as events:
        found = await take(events, 7, acknowledge=False)

    assert [delivery.deliveries for delivery in found] == [1, 2, 3, 4, 5, 6, 7]
    assert not any(delivery.is_last for delivery in found)


async def test_a_rejected_entry_is_a_dead_letter_at_once_and_only_once(client: Redis) -> None:
    await put(client, "a", data=b"\x00\xff")
    async with consumer(client) as events:
        [delivery] = await take(events, 1, acknowledge=False)
        await delivery.reject("unknown customer")
        await delivery.reject("again")

    [(_, dead)] = await client.xrange(DEAD)
    assert (dead[b"reason"], dead[b"deliveries"]) == (b"unknown customer", b"1")
    assert dead[b"data"] == b"\x00\xff"
    assert await pending(client) == []


async def test_a_dead_letter_that_cannot_be_written_stays_pending(client: Redis) -> None:
    await put(client, "a")
    await client.set(DEAD, "not a stream")
    async with consumer(client) as events:
        [delivery] = await take(events, 1, acknowledge=False)
        with pytest.raises(StoreError, match="wrongtype"):
            await delivery.reject("why")

    assert len(await pending(client)) == 1


async def test_an_entry_that_was_trimmed_while_pending_is_forgotten(client: Redis) -> None:
    await put(client, "a")
    async with consumer(client, "dies") as events:
        await take(events, 1, acknowledge=False)
    await client.xtrim(KEYS.events, maxlen=0, approximate=False)
    await put(client, "b")

    async with consumer(client, "heir") as events:
        assert ids(await take(events, 1)) == ["b"]
        running = asyncio.create_task(events.run(_nothing))
        await until(lambda: _none_pending(client))
        events.stop()
        await running
    assert not await client.exists(DEAD)


async def test_a_group_that_is_deleted_under_it_goes_on_where_it_was(client: Redis) -> None:
    await put(client, "a", "b")
    async with consumer(client) as events:
        assert ids(await take(events, 2)) == ["a", "b"]
        await client.xgroup_destroy(KEYS.events, "billing")
        await put(client, "c")
        assert ids(await take(events, 1)) == ["c"]


async def test_what_waits_is_handed_out_although_the_group_is_gone(client: Redis) -> None:
    await put(client, "a", "b")
    async with consumer(client) as events:
        await take(events, 1)
        await client.xgroup_destroy(KEYS.events, "billing")
        await asyncio.sleep(IDLE)
        assert ids(await take(events, 1)) == ["b"]


async def test_a_stream_that_came_back_with_older_ids_is_read_from_the_beginning(
    client: Redis,
) -> None:
    await client.xadd(KEYS.events, {"id": "future"}, id="99999999999999-0")
    async with consumer(client) as events:
        assert ids(await take(events, 1)) == ["future"]
        await client.flushall()
        await put(client, "after")
        assert ids(await take(events, 1)) == ["after"]


async def test_every_shard_is_read_and_none_holds_up_another(client: Redis) -> None:
    shards = Shards("ncs", 4)
    for number in range(40):
        await put(client, f"n{number}", key=shards.of(f"sid-{number}").events)
    quiet = shards.all[0]

    async with consumer(client, shards=4, batch=3) as events:
        assert sorted(ids(await take(events, 40))) == sorted(f"n{n}" for n in range(40))
        await put(client, "late", key=quiet.events)
        [late] = await take(events, 1, acknowledge=False)
        await late.reject("why")

    assert [await pending(client, keys.events) for keys in shards.all] == [[]] * 4
    assert quiet.dead("billing") == "{ncs:0}:dead:billing"
    assert await client.xlen("{ncs:0}:dead:billing") == 1


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        cluster = Cluster(servers()[0], Path(folder))
        try:
            await cluster.start()
            yield cluster
        finally:
            cluster.end()


async def test_in_a_cluster_shards_are_read_claimed_buried_and_looked_at(cluster: Cluster) -> None:
    shards = Shards("ncs", 4)
    client = connect(cluster.url)
    for number in range(20):
        await put(client, f"n{number}", key=shards.of(f"sid-{number}").events)

    async with consumer(cluster.url, "dies", shards=4, max_deliveries=2) as events:
        left = (await take(events, 1, acknowledge=False))[0].entry.id
        found = ids(await take(events, 19))
    assert sorted([left, *found]) == sorted(f"n{number}" for number in range(20))
    async with consumer(cluster.url, "heir", shards=4, max_deliveries=2) as events:
        [again] = await take(events, 1, acknowledge=False)
        assert (again.entry.id, again.deliveries) == (left, 2)
        running = asyncio.create_task(events.run(_nothing))
        await until(lambda: _buried(client, shards))
        events.stop()
        await running

    feed = Feed(client, {keys.events: "0-0" for keys in shards.all})
    seen = 0
    while page := await feed.read():
        seen += len(page)
    assert seen == 20
    await feed.heal()
    copier = EventCopier(client, shards)
    await copier.put([(f"{n}-0", {b"subject": b"sid-%d" % n}) for n in range(20)])
    assert sum([await client.xlen(keys.events) for keys in shards.all]) == 40
    await client.aclose()


async def _buried(client: Redis, shards: Shards) -> bool:
    return sum([await client.xlen(keys.dead("billing")) for keys in shards.all]) == 1


async def test_several_tasks_may_share_one_consumer(client: Redis) -> None:
    await put(client, *(f"n{number}" for number in range(30)))
    done: list[str] = []

    async def work(events: Consumer) -> None:
        async for delivery in events:
            await asyncio.sleep(0)
            done.append(delivery.entry.id)
            await delivery.acknowledge()
            if len(done) == 30:
                events.stop()

    async with asyncio.timeout(20), consumer(client, claim_idle=30.0) as events:
        await asyncio.gather(*(work(events) for _ in range(4)))

    assert sorted(done) == sorted(f"n{number}" for number in range(30))


async def test_waiting_may_be_given_up_without_losing_what_arrives_then(client: Redis) -> None:
    async with consumer(client, claim_idle=3600.0, block=0.5) as events:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(events)
        await put(client, "a")
        assert ids(await take(events, 1)) == ["a"]


async def test_stopping_ends_the_iteration_soon(client: Redis) -> None:
    async with asyncio.timeout(5), consumer(client, block=0.2) as events:
        asyncio.get_running_loop().call_later(0.05, events.stop)
        assert [delivery async for delivery in events] == []


async def test_a_store_that_is_killed_and_comes_back_empty_is_waited_for(mortal: Store) -> None:
    with capture_logs() as logs:
        async with consumer(mortal.url, shards=3) as events:
            shards = Shards("ncs", 3).all
            await mortal.do("XADD", shards[0].events, "*", "id", "before")
            [held] = await take(events, 1, acknowledge=False)
            mortal.send(signal.SIGKILL)
            waiting = asyncio.create_task(take(events, 2))
            acknowledging = asyncio.create_task(held.acknowledge())
            await until(lambda: logs)
            await asyncio.sleep(0.5)
            await mortal.start()
            for keys in shards[:2]:
                await mortal.do("XADD", keys.events, "*", "id", f"after {keys.events}")
            found = await waiting
            await acknowledging

    assert sorted(ids(found)) == [f"after {keys.events}" for keys in shards[:2]]
    said = [line["event"] for line in logs]
    assert said == ["consumer.store_away", "consumer.store_back"]
    assert logs[0]["kind"] == "unreachable"


async def test_a_store_that_is_away_is_not_asked_in_a_hurry(mortal: Store) -> None:
    mortal.end()
    clock = FakeClock()
    async with consumer(mortal.url, clock=clock) as events:
        waiting = asyncio.create_task(take(events, 1))
        for expected in range(1, 12):
            await until(lambda wanted=expected: len(clock.slept) == wanted)
            clock.advance(LONGEST_PAUSE)
        while not waiting.done():  # Python 3.11's wait_for may lose a cancellation
            waiting.cancel()
            await asyncio.wait([waiting], timeout=0.1)

    assert clock.slept[:4] == [0.1, 0.2, 0.4, 0.8]
    assert clock.slept[8:11] == [LONGEST_PAUSE] * 3


async def test_leaving_while_the_store_is_away_is_bounded(mortal: Store) -> None:
    await mortal.do("XADD", KEYS.events, "*", "id", "a")
    await mortal.do("XADD", KEYS.events, "*", "id", "b")
    async with asyncio.timeout(5), consumer(mortal.url) as events:
        await take(events, 1)
        mortal.end()


async def test_what_no_waiting_heals_is_raised(client: Redis) -> None:
    await client.set(KEYS.events, "not a stream")
    async with asyncio.timeout(5), consumer(client) as events:
        with pytest.raises(StoreError, match="wrongtype"):
            await anext(events)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "sidecar"}, "group: sidecar is the sidecar's own"),
        ({"group": "a b"}, "group: must be 1 to 64"),
        ({"name": ""}, "name: must be 1 to 64"),
        ({"shards": 0}, "shards: must be from 1 to 256"),
        ({"claim_idle": 0.0}, "claim_idle: must be seconds"),
        ({"claim_idle": float("nan")}, "claim_idle: must be seconds"),
        ({"max_deliveries": 1}, "max_deliveries: must be 2 or more"),
        ({"batch": 0}, "batch: must be from 1"),
        ({"block": 0.0}, "block: must be seconds"),
        ({"store": "ftp://x"}, "redis://"),
    ],
)
def test_an_argument_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"store": "redis://127.0.0.1:1", "group": "g", "name": "n"}
    with pytest.raises(ValueError, match=message):
        Consumer(**(arguments | options))


def test_a_client_that_gives_text_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must give bytes"):
        Consumer(Driver.from_url(url, decode_responses=True), group="g", name="n")


def test_pauses_grow_and_are_bounded() -> None:
    assert [pause(n) for n in (0, 1, 2, 3)] == [0.1, 0.1, 0.2, 0.4]
    assert pause(10**9) == LONGEST_PAUSE


async def test_an_outage_is_told_once_however_many_ask() -> None:
    clock = FakeClock()
    told: list[object] = []
    outage = Outage(clock, away=lambda error: told.append(error.kind), back=told.append)
    failing = True

    async def action() -> str:
        if failing:
            raise StoreError("unreachable", "gone")
        return "done"

    tasks = [asyncio.create_task(outage.through(action)) for _ in range(3)]
    await until(lambda: len(clock.slept) == 3)
    clock.advance(2.0)
    await until(lambda: len(clock.slept) == 6)
    failing = False
    clock.advance(2.0)

    assert await asyncio.gather(*tasks) == ["done"] * 3
    assert told == ["unreachable", 4.0]


def entry(**changes: Any) -> Entry:
    given = {
        "stream_id": "1-0",
        "id": "n-1",
        "source": "/agora/default",
        "type": "io.agora.cloud_recording.uploaded",
        "subject": "s",
        "time": "2023-11-14T22:13:20.123Z",
        "data": b'{"noticeId": "n-1", "big": 123456789012345678901234567890}',
        "origin": "webhook",
        "uid": "7",
    }
    return Entry(**(given | changes))


# The document's examples


def examples(language: str) -> list[str]:
    document = Path(__file__).parents[1] / "docs" / "consumers.md"
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


async def test_the_documents_python_example_runs(url: str, client: Redis) -> None:
    [example] = examples("python")
    closed = "io.agora.sidecar.recording.closed"
    await put(client, "a", type="io.agora.cloud_recording.uploaded")
    await put(client, "b", type=closed, data=b'{"sid": "s-1", "reason": "uploaded"}')
    process = subprocess.Popen(
        [sys.executable, "-c", example],
        env=os.environ | {"REDIS_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:

            async def read() -> bool:
                assert process.poll() is None, process.communicate()[1]
                groups = await client.xinfo_groups(KEYS.events)
                return bool(groups and groups[0]["lag"] == 0) and await _none_pending(client)

            await until(read)
            process.terminate()
            assert await asyncio.to_thread(process.communicate) == ("s-1 uploaded\n", "")
            assert process.returncode == 0
        finally:
            process.kill()


async def test_the_documents_shell_examples_run(url: str, client: Redis) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("there is no redis-cli")
    socket = url.removeprefix("unix://")
    given = "\n".join(examples("sh"))
    lines = [line for line in given.splitlines() if not line.startswith("agora-sidecar ")]
    script = f'redis-cli() {{ command redis-cli -s {socket} "$@"; }}\n' + "\n".join(lines)
    script = script.replace("BLOCK 5000", "BLOCK 50")
    await client.xadd(KEYS.events, {"id": "n-1"}, id="1795410302032-0")
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-eu"], input=script, capture_output=True, text=True, timeout=30
    )

    assert done.stderr == ""
    assert "ERR" not in done.stdout
    assert "WRONGTYPE" not in done.stdout
    assert str(zlib.crc32(b"sid-1") % 4) in done.stdout.splitlines()
    assert Shards("ncs", 4).of("sid-1").events == f"{{ncs:{zlib.crc32(b'sid-1') % 4}}}:events"
    [(_, dead)] = await client.xrange(DEAD)
    assert dead[b"reason"] == b"no such customer"
    assert await pending(client) == []


def test_the_cloudevents_view_has_attributes_and_parsed_data() -> None:
    assert to_cloudevent(entry()) == {
        "specversion": "1.0",
        "id": "n-1",
        "source": "/agora/default",
        "type": "io.agora.cloud_recording.uploaded",
        "subject": "s",
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "origin": "webhook",
        "uid": "7",
        "data": {"noticeId": "n-1", "big": 123456789012345678901234567890},
    }


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"\xff\x00", "/wA="),
        (b"", ""),
        (b"NaN", "TmFO"),
        (b'"\\ud800"', "Ilx1ZDgwMCI="),
        (b"[" * 3000, None),
    ],
)
def test_what_is_no_json_is_shown_as_bytes(data: bytes, encoded: str | None) -> None:
    event = to_cloudevent(entry(data=data, subject=""))

    assert "data" not in event
    assert "subject" not in event
    assert encoded is None or event["data_base64"] == encoded
