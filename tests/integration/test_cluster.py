"""Stream, ledger and lease on a real Cluster of three primaries, with eight shards."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import RedisCluster

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.keys import GROUP, Keys, Shards
from agora_sidecar.process.health import Health
from agora_sidecar.store import Redis, StoreError, connect, durability, ping, store_errors
from agora_sidecar.stream import Append, GroupReader, Outcome, Writer
from agora_sidecar.watch import StoreWatch
from scheduler.leadership import Lease
from scheduler.recordings.ledger import Change, ConflictError, FencedError, Finding
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.session import Session
from scheduler.recordings.sharded_ledger import ShardedLedger
from tests.fakes.clock import FakeClock
from tests.integration.processes import until
from tests.integration.topology import CLUSTERED, PATIENT, SLOTS, Cluster, Node, slot_of

pytestmark = pytest.mark.integration

NOW = 1_700_000_000.0
SHARDS = Shards("ncs", 8)
numbers = count()


@pytest.fixture(scope="module")
def started() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        cluster = Cluster(server_program(), Path(folder))
        try:
            asyncio.run(cluster.start())
            yield cluster
        finally:
            cluster.end()


@pytest.fixture
async def cluster(started: Cluster) -> Cluster:
    for node in started.nodes:
        await node.do("FLUSHALL")
    return started


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Redis]:
    client = connect(cluster.url, timeout=1.0)
    yield client
    await client.aclose()


def item(sid: str) -> Append:
    """A notice of this recording that nobody has offered before."""
    keys, name = SHARDS.of(sid), str(next(numbers))
    return Append(keys.events, (keys.seen("default", name),), ["id", name], b"{}")


def batch(size: int = 40) -> list[Append]:
    items = [item(f"sid-{number}") for number in range(size)]
    assert len({one.stream for one in items}) == len(SHARDS.all)
    return items


async def test_each_new_connection_is_told_of(cluster: Cluster) -> None:
    told: list[None] = []
    client = connect(cluster.url, timeout=1.0, on_connect=lambda: told.append(None))
    await Writer(client, dedupe_window=60.0).append_once(batch())
    known = len(told)
    assert known >= len(cluster.nodes)
    await ping(client)
    assert len(told) == known
    for node in cluster.nodes:
        await node.do("CLIENT", "KILL", "TYPE", "normal")
    for _ in range(len(cluster.nodes)):  # the driver notices one at a time, when it uses it
        with suppress(StoreError):
            await ping(client)
    await ping(client)
    assert len(told) >= known + len(cluster.nodes)
    await client.aclose()


def one_each() -> list[Append]:
    """One for each shard."""
    return list({one.stream: one for one in batch()}.values())


def writer(client: Redis) -> Writer:
    return Writer(client, dedupe_window=60.0)


def reader(client: Redis, keys: Keys, consumer: str = "one") -> GroupReader:
    return GroupReader(client, keys, group=GROUP, consumer=consumer)


async def ids(client: Redis) -> list[str]:
    """The ids of all entries on all streams."""
    found: list[str] = []
    for keys in SHARDS.all:
        with store_errors():
            found += [fields[b"id"].decode() for _, fields in await client.xrange(keys.events)]
    return sorted(found)


def names(items: list[Append]) -> list[str]:
    return sorted(one.fields[1] for one in items)


async def accepted(work: Callable[[], Any]) -> Any:
    """What comes of this once the store takes it."""

    async def attempt() -> Any:
        try:
            return (await work(),)
        except StoreError:
            return None

    return (await until(attempt))[0]


async def test_a_batch_over_all_shards_is_stored_once(client: Redis) -> None:
    items = batch()
    assert await writer(client).append_once(items[::2]) == [Outcome.STORED] * 20
    again = await writer(client).append_once(items)
    assert again == [Outcome.DUPLICATE_NOTICE, Outcome.STORED] * 20
    assert await ids(client) == names(items)


async def test_a_stream_is_read_by_the_drivers_own_methods_as_well(client: Redis) -> None:
    items = one_each()
    await writer(client).append_once(items)
    for one in items:
        with store_errors():
            found = await client.xread({one.stream: "0"}, count=9, block=50)
            await client.xgroup_create(one.stream, "theirs", id="0")
            assert await client.xreadgroup("theirs", "me", {one.stream: ">"}, count=9) == found
        [[stream, [[_, fields]]]] = found
        assert (stream.decode(), fields[b"id"].decode()) == (one.stream, one.fields[1])


async def test_each_shard_is_read_as_a_group_and_acknowledged(client: Redis) -> None:
    items = batch()
    readers = [reader(client, keys) for keys in SHARDS.all]
    for one in readers:
        assert await one.read(count=99, block=0.01) == []  # makes the group
    await writer(client).append_once(items)
    found = [await one.read(count=99, block=0.01) for one in readers]
    assert sorted(entry.id for entries in found for entry in entries) == names(items)
    for keys, one, entries in zip(SHARDS.all, readers, found, strict=True):
        left = await reader(client, keys, "two").reclaim(count=99, idle=0.0)
        assert [entry.id for entry in left] == [entry.id for entry in entries]
        await one.acknowledge([entry.stream_id for entry in entries])
        assert await reader(client, keys, "two").reclaim(count=99, idle=0.0) == []


async def test_a_recording_is_kept_and_told_in_its_own_shard(client: Redis) -> None:
    ledger = ShardedLedger(client, SHARDS, keep=1000)
    sids = [f"sid-{number}" for number in range(20)]
    leases = {
        keys.events: Lease(client, keys, LEASE, length=9, clock=FakeClock()) for keys in SHARDS.all
    }
    for lease in leases.values():
        assert await lease.hold() == 1
    for number, sid in enumerate(sids):
        session = Session(sid=sid, created_at=NOW, started_at=NOW + number)
        told = Change(session, Finding("closed", b"{}"))
        lease = leases[SHARDS.of(sid).events]
        saved = await ledger.save(told, due=NOW + number, now=NOW, token=lease.token)
        with pytest.raises(ConflictError):
            await ledger.save(told, due=NOW, now=NOW, token=lease.token)
        with pytest.raises(FencedError):
            await ledger.save(Change(saved), due=NOW, now=NOW, token="somebody:1")
    assert await ids(client) == sorted(f"sidecar:{sid}:closed:1" for sid in sids)
    assert {session.sid for session in await ledger.all(limit=99)} == set(sids)
    assert await ledger.due(now=NOW + 30, limit=10) == sids[:10]
    assert await ledger.forget("sid-0")
    assert await ledger.load("sid-0") is None
    assert await ledger.next_due() == NOW + 1
    for lease in leases.values():
        await lease.release()
        assert lease.fence is None


async def test_a_cluster_is_as_safe_as_its_worst_primary(cluster: Cluster, client: Redis) -> None:
    found = await durability(client)
    runs = sorted([await node.info("run_id") for node in cluster.primaries])
    assert (found.level, found.replicated, found.warnings) == ("redis-fsync", True, ())
    assert found.identity == "+".join(runs)
    worst = cluster.primaries[1]
    await worst.do("CONFIG SET", "appendfsync", "everysec", "maxmemory-policy", "allkeys-lru")
    await worst.do("CONFIG SET", "maxmemory", "100mb")
    found = await durability(client)
    await worst.do("CONFIG SET", "appendfsync", "always", "maxmemory-policy", "noeviction")
    assert found.level == "redis-memory"
    assert (
        found.why
        == f"127.0.0.1:{worst.port}: appendfsync is everysec: a crash loses the last second"
    )
    [warning] = found.warnings
    assert warning.startswith(f"127.0.0.1:{worst.port}: maxmemory-policy is allkeys-lru")


@pytest.fixture
async def uncovered(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, serving the slots of those that are there when one is gone."""
    for node in cluster.nodes:
        await node.do("CONFIG SET", "cluster-require-full-coverage", "no")
    yield cluster
    for node in cluster.nodes:
        await node.do("CONFIG SET", "cluster-require-full-coverage", "yes")


@pytest.fixture
async def quick(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, giving up soon who is silent; it is patient again once it is whole."""
    await cluster.give_up_after("2000")
    yield cluster
    await until(cluster.whole)
    await cluster.give_up_after(PATIENT)


async def fate(client: Redis, items: list[Append]) -> dict[str, str]:
    """For each stream, the kind of the error with which an append of its items ended."""
    told: dict[str, str] = {}
    for one in items:
        try:
            await writer(client).append_once([one])
        except StoreError as error:
            told[one.stream] = error.kind
    return told


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_node_that_is_killed_fails_its_own_shards_alone_until_it_is_back(
    uncovered: Cluster, client: Redis
) -> None:
    victim = uncovered.primaries[0]
    lost = {
        keys.events for keys in SHARDS.all if await uncovered.owner(slot_of(keys.events)) is victim
    }
    assert 0 < len(lost) < len(SHARDS.all)
    before, during = batch(), batch()
    await writer(client).append_once(before)
    readers = {keys.events: reader(client, keys) for keys in SHARDS.all}
    for one in readers.values():
        await one.read(count=99, block=0.01)
    victim.send(signal.SIGKILL)

    with pytest.raises(StoreError):
        await writer(client).append_once(during)
    for _ in range(2):  # before and after the others noticed
        assert set(await fate(client, one_each())) == lost
        await until(lambda: noticed(uncovered.primaries[1], "fail"))
    with pytest.raises(StoreError):
        await ping(client)
    for stream in readers.keys() - lost:
        assert await accepted(lambda one=readers[stream]: one.read(count=99, block=0.01))

    await victim.start()
    await until(uncovered.whole)
    outcomes = await accepted(lambda: writer(client).append_once(during))
    stored = {
        one.stream
        for one, outcome in zip(during, outcomes, strict=True)
        if outcome is Outcome.STORED
    }
    assert stored <= lost
    found = await ids(client)
    assert len(found) == len(set(found))
    assert set(names(before + during)) <= set(found)
    for stream in lost:
        assert await accepted(lambda one=readers[stream]: one.read(count=99, block=0.01))


async def noticed(node: Node, flag: str) -> bool:
    return any(
        flag in told["flags"].split(",") for told in (await node.do("CLUSTER NODES")).values()
    )


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_cluster_that_refuses_all_when_one_is_gone_comes_back_by_itself(
    cluster: Cluster, client: Redis
) -> None:
    back: list[bool] = []
    clock = FakeClock()
    watch = StoreWatch(client, health=Health(clock), clock=clock, on_back=lambda: back.append(True))
    await watch.look()
    cluster.primaries[2].send(signal.SIGKILL)
    await until(lambda: noticed(cluster.primaries[0], "fail"))
    some = one_each()[:3]
    kinds = await fate(client, some)
    await watch.look()
    assert not back
    assert len(kinds) == len(some)
    assert set(kinds.values()) <= {"clusterdown", "unreachable"}
    await cluster.primaries[2].start()
    await until(cluster.whole)
    items = batch()
    assert set(await accepted(lambda: writer(client).append_once(items))) <= set(Outcome)
    assert set(names(items)) <= set(await ids(client))
    await watch.look()
    assert back == [True]


async def test_a_node_that_hangs_delays_nobody_beyond_the_deadline(uncovered: Cluster) -> None:
    client = connect(f"{uncovered.url}?client_name=mine", timeout=1.0)
    assert isinstance(client, RedisCluster)
    await writer(client).append_once(batch())
    asked_for_all = client.get_default_node().port
    victim = next(node for node in uncovered.nodes if node.port == asked_for_all)
    lost = {
        keys.events for keys in SHARDS.all if await uncovered.owner(slot_of(keys.events)) is victim
    }
    readers = {keys.events: reader(client, keys) for keys in SHARDS.all}
    for one in readers.values():
        await one.read(count=1, block=0.01)
    victim.send(signal.SIGSTOP)
    try:
        for stream in readers.keys() - lost:
            assert await readers[stream].read(count=1, block=0.01)
        async with asyncio.timeout(4.0):
            with pytest.raises(StoreError, match="unreachable"):
                await writer(client).append_once([one for one in batch() if one.stream in lost])
        await client.aclose()
        told = [
            (await node.do("CLIENT LIST")) for node in uncovered.primaries if node is not victim
        ]
        assert [one["name"] for one in chain(*told) if one["name"] == "mine"] == []
        alive = [one for one in batch() if one.stream not in lost]
        fresh = connect(uncovered.url, timeout=0.5)
        assert set(await accepted(lambda: writer(fresh).append_once(alive))) <= set(Outcome)
        await fresh.aclose()
    finally:
        victim.send(signal.SIGCONT)
        await client.aclose()
        await until(uncovered.whole)


@pytest.mark.slow
async def test_a_cluster_whose_addresses_all_changed_is_found_where_it_was_configured(
    tmp_path: Path,
) -> None:
    old, new = (Node(server_program(), tmp_path / name, *CLUSTERED) for name in ("old", "new"))
    client = connect(f"redis+cluster://127.0.0.1:{old.port},127.0.0.1:{new.port}", timeout=1.0)
    try:
        await asyncio.gather(old.start(), new.start())
        for node in (old, new):
            await node.do("CLUSTER ADDSLOTSRANGE", 0, SLOTS - 1)
            await until(lambda node=node: well(node))
            items = batch()
            assert await accepted(lambda items=items: writer(client).append_once(items))
            node.send(signal.SIGKILL)
    finally:
        old.end()
        new.end()
        await client.aclose()


async def well(node: Node) -> bool:
    return bool((await node.do("CLUSTER INFO"))["cluster_state"] == "ok")


async def test_slots_that_move_disturb_nobody_who_waits(cluster: Cluster, client: Redis) -> None:
    moving, still = SHARDS.all[3], SHARDS.all[4]
    slot = slot_of(moving.events)
    home = await cluster.owner(slot)
    assert await cluster.owner(slot_of(still.events)) is not home
    group = reader(client, still)
    await group.read(count=1, block=0.01)
    waiting = asyncio.create_task(group.read(count=1, block=0.9))
    for to in (cluster.spare, home) * 3:
        await cluster.move(slot, to)
        with store_errors():
            await client.execute_command("XADD", moving.events, "*", "a", "b")
    assert not waiting.done()
    assert await waiting == []


async def test_a_slot_that_moved_is_followed(cluster: Cluster, client: Redis) -> None:
    keys = SHARDS.all[3]
    slot = slot_of(keys.events)
    home = await cluster.owner(slot)
    items = batch()
    await writer(client).append_once(items)
    group = reader(client, keys)
    await group.read(count=1, block=0.01)
    for to in (cluster.spare, home):
        await cluster.move(slot, to)
        more = batch()
        assert await writer(client).append_once(items + more) == (
            [Outcome.DUPLICATE_NOTICE] * len(items) + [Outcome.STORED] * len(more)
        )
        items += more
        assert await group.read(count=1, block=0.01)
    assert await ids(client) == names(items)


async def test_a_slot_on_its_way_is_refused_until_it_arrived_and_nothing_is_stored_twice(
    cluster: Cluster, client: Redis
) -> None:
    keys = SHARDS.all[6]
    slot = slot_of(keys.events)
    home = await cluster.owner(slot)
    first, second = [one for one in batch(99) if one.stream == keys.events][:2]
    await writer(client).append_once([first])
    await cluster.begin_move(slot, home, cluster.spare)
    try:
        # Redis does not run a script some of whose keys may be elsewhere
        with pytest.raises(StoreError, match="tryagain"):
            await writer(client).append_once([first, second])
        # what has one key goes on, at the place that nobody knew before
        with store_errors():
            await client.hset(keys.recording("new"), "state", "CLOSED")
            await client.hset(keys.recording("new"), "told", "1")
        assert await cluster.spare.do("DBSIZE") == 1
    finally:
        await cluster.move(slot, cluster.spare)
    outcomes = await writer(client).append_once([first, second])
    assert outcomes == [Outcome.DUPLICATE_NOTICE, Outcome.STORED]
    await cluster.move(slot, home)
    assert await ids(client) == names([first, second])


async def test_keys_of_several_slots_are_refused(client: Redis) -> None:
    mixed = item("sid-0")
    keys = (SHARDS.all[0].due, SHARDS.all[1].due)
    with pytest.raises(StoreError, match="refused"):
        await writer(client).append_once([Append(keys[0], keys[1:], mixed.fields, b"{}")])
    with pytest.raises(StoreError, match="refused"), store_errors():
        await client.execute_command("XREAD", "STREAMS", *keys, "0", "0")


async def test_who_is_not_let_in_and_what_is_no_cluster_is_named(
    cluster: Cluster, tmp_path: Path
) -> None:
    node = Node(server_program(), tmp_path)
    cases = [
        (cluster.url.replace("//", "//:wrong@"), "noauth", ""),
        (f"redis+cluster://127.0.0.1:{node.port}", "unreachable", ""),
    ]
    for url, kind, text in cases:
        await refused(url, kind, text)
    try:
        await node.start()
        await refused(cases[1][0], "unreachable", "Cluster mode is not enabled")
    finally:
        node.end()


async def refused(url: str, kind: str, text: str) -> None:
    client = connect(url, timeout=1.0)
    with pytest.raises(StoreError) as caught:
        await ping(client)
    await client.aclose()
    assert caught.value.kind == kind
    assert text in caught.value.detail
    assert "wrong" not in caught.value.detail


async def test_many_at_once_find_the_slots_together(cluster: Cluster) -> None:
    client = connect(cluster.url, timeout=2.0)
    await client.script_flush()
    await client.aclose()
    items = [batch() for _ in range(8)]
    outcomes = await asyncio.gather(*(writer(client).append_once(one) for one in items))
    await client.aclose()
    assert all(outcome is Outcome.STORED for one in outcomes for outcome in one)


async def test_a_ledger_of_one_shard_alone_works_on_a_cluster(client: Redis) -> None:
    ledger = RedisLedger(client, Keys(), keep=1000)
    await ledger.save(Change(Session(sid="a", created_at=NOW, started_at=NOW)), due=NOW, now=NOW)
    await ledger.adopt(now=NOW)
    assert await ledger.due(now=NOW, limit=9) == ["a"]
