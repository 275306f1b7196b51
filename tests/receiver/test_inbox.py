import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append
from receiver.copying import MOST
from receiver.inbox import Inbox
from receiver.metrics import ReceiverMetrics
from tests.fakes.clock import FakeClock
from tests.fakes.spool import FakeSpool
from tests.fakes.store_writer import FakeWriter

HEDGE = 0.04
DEADLINE = 0.4


@dataclass
class World:
    store: FakeWriter = field(default_factory=FakeWriter)
    spool: FakeSpool = field(default_factory=FakeSpool)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def inbox(
        self, *, level: str = "redis-fsync", max_batch: int = 256, disk: bool = True
    ) -> Inbox:
        box = Inbox(
            self.store,
            self.spool,
            metrics=ReceiverMetrics(self.registry),
            clock=FakeClock(),
            deadline=DEADLINE,
            hedge_after=HEDGE,
            needs_disk=disk,
            max_batch=max_batch,
        )
        box.level = level
        return box

    def safe_by(self, level: str) -> float | None:
        return self.registry.get_sample_value("agora_sidecar_safe_total", {"level": level})


@pytest.fixture
def world() -> World:
    return World()


def item(name: str) -> Append:
    return Append("events", (name,), [], b"")


def put(box: Inbox, *names: str) -> "list[asyncio.Future[str]]":
    return [asyncio.ensure_future(box.put(item(name), 1)) for name in names]


async def results(puts: "list[asyncio.Future[str]]") -> list[str]:
    found = await asyncio.gather(*puts, return_exceptions=True)
    return [getattr(result, "kind", result) for result in found]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_arrives_during_a_commit_goes_together_in_order(world: World) -> None:
    box = world.inbox()
    world.store.gate.clear()
    puts = put(box, "0")
    await settle()
    puts += put(box, *"12345")
    await settle()
    world.store.gate.set()

    assert await results(puts) == ["stored"] * 6
    assert [[i.marks[0] for i in batch] for batch in world.store.batches] == [["0"], list("12345")]
    assert world.safe_by("redis-fsync") == 6


async def test_a_batch_has_a_limit(world: World) -> None:
    await results(put(world.inbox(max_batch=2), *"abcde"))
    assert [len(batch) for batch in world.store.batches] == [2, 2, 1]


async def test_each_gets_its_own_outcome(world: World) -> None:
    box = world.inbox()
    assert await results(put(box, "a")) == ["stored"]
    assert await results(put(box, *"bab")) == ["stored", "duplicate", "duplicate"]


@pytest.mark.parametrize(
    "error", [StoreError("oom", "full"), RuntimeError("odd"), TimeoutError(), None]
)
async def test_what_the_store_refuses_is_safe_in_the_spool(
    world: World, error: Exception | None
) -> None:
    world.store.fail_with = error
    world.store.forget_last_outcome = error is None
    box = world.inbox()
    assert await results(put(box, *"ab")) == ["spooled", "spooled"]
    assert world.spool.kept == ["a", "b"]
    assert world.safe_by("spool-fsync") == 2


async def test_after_a_failure_events_go_straight_to_the_spool_until_the_store_takes_some(
    world: World,
) -> None:
    world.store.fail_with = StoreError("unreachable", "gone")
    box = world.inbox()
    await results(put(box, *"ab"))
    asked = len(world.store.batches)
    assert await results(put(box, *"cd")) == ["spooled", "spooled"]
    assert len(world.store.batches) == asked

    world.store.fail_with = None
    box.resume()
    assert await results(put(box, "e")) == ["stored"]


async def test_a_store_that_hangs_costs_an_event_no_more_than_the_hedge(world: World) -> None:
    world.store.gate.clear()
    box = world.inbox()
    puts = put(box, *"ab")
    async with asyncio.timeout(DEADLINE / 2):
        assert await results(puts) == ["spooled", "spooled"]
        assert await results(put(box, "c")) == ["spooled"]
    assert world.registry.get_sample_value("agora_sidecar_hedged_total") == 2


async def test_what_waits_behind_a_batch_that_hangs_is_not_offered_to_the_store_any_more(
    world: World,
) -> None:
    world.store.gate.clear()
    box = world.inbox()
    puts = put(box, "a")
    await settle()
    assert await results(puts + put(box, "b")) == ["spooled", "spooled"]
    world.store.gate.set()
    await box.close()
    assert [[i.marks[0] for i in batch] for batch in world.store.batches] == [["a"]]


async def test_the_store_answering_first_wins_over_the_hedge(world: World) -> None:
    world.store.gate.clear()
    world.spool.gate.clear()
    box = world.inbox()
    puts = put(box, "a")
    await asyncio.sleep(HEDGE * 2)
    world.store.gate.set()
    assert await results(puts) == ["stored"]
    world.spool.gate.set()
    await box.close()


async def test_nothing_queues_behind_a_batch_that_hangs_when_the_store_answers_others(
    world: World,
) -> None:
    world.store.gate.clear()
    box = world.inbox()
    assert await results(put(box, "a")) == ["spooled"]
    box.resume()  # what gives the spool back got through
    await settle()
    world.store.gate.set()
    async with asyncio.timeout(HEDGE / 2):
        assert await results(put(box, "b")) == ["stored"]


async def test_neither_store_nor_spool_is_an_error_that_names_both_ways(world: World) -> None:
    world.store.fail_with = StoreError("unreachable", "gone")
    world.spool.fails = True
    box = world.inbox()
    assert await results(put(box, *"ab")) == ["spool_full", "spool_full"]
    world.store.fail_with = None
    assert await results(put(box, "c")) == ["stored"]  # the next one is tried again


async def test_a_full_spool_does_not_refuse_what_a_slow_store_takes_after_all(world: World) -> None:
    world.store.gate.clear()
    world.spool.fails = True
    box = world.inbox()
    puts = put(box, "a")
    await asyncio.sleep(HEDGE * 3)
    world.store.gate.set()
    assert await results(puts) == ["stored"]


async def test_what_a_full_spool_left_to_a_store_that_hangs_goes_to_the_spool_when_it_has_room(
    world: World,
) -> None:
    world.store.gate.clear()
    world.spool.fails = True
    box = world.inbox()
    first = put(box, "a")
    await settle()
    waits = put(box, "b")
    await asyncio.sleep(HEDGE * 2)  # both were hedged, and refused
    world.spool.fails = False
    assert await results(put(box, "c")) == ["spooled"]
    async with asyncio.timeout(DEADLINE * 2):
        assert await results(waits) == ["spooled"]
    world.store.gate.set()
    assert await results(first) == ["stored"]


async def test_a_disk_that_hangs_keeps_nothing_from_a_store_that_is_back(world: World) -> None:
    world.store.fail_with = StoreError("unreachable", "gone")
    box = world.inbox()
    assert await results(put(box, "a")) == ["spooled"]
    assert box.suspended
    world.spool.gate.clear()  # what gives the spool back, and would notice, hangs on the same disk
    world.store.fail_with = None
    async with asyncio.timeout(DEADLINE):
        assert await results(put(box, "b")) == ["stored"]
    assert not box.suspended
    async with asyncio.timeout(HEDGE):
        assert await results(put(box, "c")) == ["stored"]
    world.spool.gate.set()


async def test_a_disk_that_hangs_is_no_reason_to_trust_a_store_that_does_not_fsync(
    world: World,
) -> None:
    world.spool.gate.clear()
    assert await results(put(world.inbox(level="redis-memory"), "a")) == ["timeout"]
    assert world.store.batches == []
    world.spool.gate.set()


async def test_both_hanging_is_refused_by_the_deadline(world: World) -> None:
    world.store.gate.clear()
    world.spool.gate.clear()
    async with asyncio.timeout(DEADLINE * 3):
        assert await results(put(world.inbox(), "a")) == ["timeout"]


@pytest.mark.parametrize("level", ["redis-memory", "unknown"])
async def test_a_store_that_does_not_fsync_is_not_enough(world: World, level: str) -> None:
    box = world.inbox(level=level)
    assert await results(put(box, *"ab")) == ["spooled", "spooled"]
    assert world.store.batches == []
    world.spool.fails = True
    assert await results(put(box, "c")) == ["spool_full"]


@dataclass
class Doubt:
    """The store was restarted without anybody having looked: `level` is what a look finds."""

    box: Inbox
    level: str
    doubtful: bool = True

    async def ascertain(self) -> None:
        if self.level:
            self.box.level, self.doubtful = self.level, False


@pytest.mark.parametrize(
    ("level", "answer"),
    [("redis-fsync", "stored"), ("redis-memory", "spooled"), ("", "spooled")],
)
async def test_what_a_store_took_that_may_be_another_is_acknowledged_after_a_look_or_the_spool(
    world: World, level: str, answer: str
) -> None:
    box = world.inbox()
    box.watched = Doubt(box, level)
    assert await results(put(box, "a")) == [answer]
    assert world.spool.kept == (["a"] if answer == "spooled" else [])


async def test_who_asked_for_memory_waits_for_no_look(world: World) -> None:
    box = world.inbox(disk=False)
    box.watched = Doubt(box, "")
    assert await results(put(box, "a")) == ["stored"]


async def test_it_is_enough_where_memory_was_asked_for(world: World) -> None:
    box = world.inbox(level="redis-memory", disk=False)
    assert await results(put(box, "a")) == ["stored"]
    assert world.safe_by("redis-memory") == 1


async def test_copies_are_kept_where_the_store_may_forget_and_their_failure_harms_nobody(
    world: World,
) -> None:
    box = world.inbox()
    box.copies = True
    assert await results(put(box, "a")) == ["stored"]
    world.spool.fails = True
    assert await results(put(box, "b")) == ["stored"]
    await box.close()
    assert [copy.marks[0] for copy in world.spool.copies] == ["a"]


async def test_copies_that_wait_for_a_disk_that_hangs_are_bounded_and_nobody_waits_for_them(
    world: World,
) -> None:
    box = world.inbox()
    box.copies = True
    world.spool.gate.clear()
    for number in range(100):
        assert await results(put(box, str(number))) == ["stored"]
    world.spool.gate.set()
    await box.close()
    assert len(world.spool.copies) == MOST


async def test_a_client_that_hangs_up_does_not_cancel_the_commit(world: World) -> None:
    box = world.inbox()
    world.store.gate.clear()
    gone, stays = put(box, *"ab")
    await settle()
    gone.cancel()
    world.store.gate.set()
    assert await stays == "stored"
    assert world.store.known == {"a", "b"}


async def test_closing_waits_for_what_was_taken(world: World) -> None:
    box = world.inbox()
    await box.close()
    (waits,) = put(box, "a")
    await settle()
    await box.close()
    assert await waits == "stored"
