import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agora_sidecar.process.health import Health
from agora_sidecar.process.serving import end
from agora_sidecar.store import Durability, StoreError
from agora_sidecar.stream import Append, Outcome
from receiver.inbox import Inbox
from receiver.metrics import ReceiverMetrics
from receiver.safety import Safety
from receiver.spool.adoption import Adoption
from receiver.spool.copies import Copies, copies_for
from receiver.spool.drain import BATCH, Drain
from receiver.spool.folder import claim_own, damaged
from receiver.spool.journal import Facts, JournalError
from receiver.spool.spool import Spool
from tests.fakes.clock import FakeClock
from tests.fakes.store_writer import FakeWriter

WINDOW = 1000.0


def item(name: str, *, stream: str = "events", size: int = 0) -> Append:
    fields = ["id", name, "source", "/agora/main", "origin", "webhook"]
    return Append(stream, (name,), fields, name.encode().ljust(size))


class World:
    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.clock = clock
        self.store = FakeWriter()
        self.registry = CollectorRegistry()
        self.metrics = ReceiverMetrics(self.registry)
        self.keep = 0.0
        self.looks: list[tuple[Facts | None, str]] = []
        self.path = folder / "spool-0.db"
        self.spool = self.open(self.path)
        self.resumed = 0
        self.is_busy = False
        self.drain = self.drain_of(self.spool)

    def open(self, path: Path) -> Spool:
        return Spool(lambda: path, limit=1 << 24, metrics=self.metrics)

    def drain_of(self, spool: Spool) -> Drain:
        return Drain(
            spool,
            self.store,
            keep=lambda: self.keep,
            window=WINDOW,
            clock=self.clock,
            metrics=self.metrics,
            live=self,
            on_look=lambda facts, problem: self.looks.append((facts, problem)),
        )

    def resume(self) -> None:
        self.resumed += 1

    async def put(self, *names: str, at: float | None = None) -> None:
        ms = int((self.clock.now() if at is None else at) * 1000)
        await self.spool.put([(item(name), ms) for name in names])

    async def facts(self) -> tuple[int, int]:
        facts = await self.spool.tidy(copies_before=0)
        return facts.waiting, facts.copies

    async def drained(self) -> None:
        while await self.drain.step():
            pass


@pytest.fixture
async def world(tmp_path: Path, clock: FakeClock) -> AsyncIterator[World]:
    found = World(tmp_path, clock)
    yield found
    await found.spool.close()


async def test_everything_goes_to_the_stream_in_order_marked_as_spooled(world: World) -> None:
    names = [f"n{number}" for number in range(BATCH + 10)]
    await world.put(*names)
    await world.drained()
    assert world.store.stored == [name.encode() for name in names]
    assert [len(batch) for batch in world.store.batches] == [BATCH, 10]
    assert world.store.batches[0][0].fields[-2:] == ["origin", "spool"]
    assert await world.facts() == (0, 0)
    assert world.resumed == 2


@pytest.mark.parametrize("kind", ["unreachable", "oom", "readonly", "loading", "misconf", "noauth"])
async def test_a_store_that_refuses_leaves_every_row_where_it_was(world: World, kind: str) -> None:
    await world.put(*"ab")
    world.store.fail_with = StoreError(kind, "told to")
    with pytest.raises(StoreError):
        await world.drain.step()
    assert await world.facts() == (2, 0)
    assert world.resumed == 0
    world.store.fail_with = None
    await world.drained()
    assert await world.facts() == (0, 0)


async def test_one_row_that_is_refused_does_not_hold_the_others_up(world: World) -> None:
    await world.put(*"abc")
    world.store.refuses = "b"
    await world.drained()
    assert world.store.known == {"a", "c"}
    assert await world.facts() == (1, 0)
    world.store.refuses = None
    await world.drained()
    assert world.store.known == {"a", "b", "c"}


@pytest.mark.parametrize("busy", [True, False])
async def test_live_traffic_has_half_of_the_stores_time(
    world: World, monkeypatch: pytest.MonkeyPatch, *, busy: bool
) -> None:
    take = world.store.append_once

    async def slow(batch: Sequence[Append]) -> list[Outcome]:
        world.clock.advance(0.3)
        return await take(batch)

    monkeypatch.setattr(world.store, "append_once", slow)
    world.is_busy = busy
    await world.put(*(f"n{number}" for number in range(2 * BATCH)))
    running = asyncio.create_task(world.drain.run())
    await eventually(world, lambda: len(world.store.known) == 2 * BATCH)
    await end([running])
    pauses = [pause for pause in world.clock.slept if pause % 0.5 == pytest.approx(0.3)]
    assert bool(pauses) is busy


async def test_what_the_store_may_forget_stays_as_a_copy_for_a_while(
    world: World, clock: FakeClock
) -> None:
    world.keep = 10.0
    await world.put("a")
    await world.drained()
    assert await world.facts() == (0, 1)

    assert await world.spool.offer_again() == 1  # the store was restarted
    await world.drained()
    assert world.store.stored == [b"a", b"a"]  # which the once-only key makes harmless
    assert await world.facts() == (0, 1)

    clock.advance(9.0)
    await world.drain.tidy()
    assert await world.facts() == (0, 1)
    clock.advance(2.0)
    await world.drain.tidy()
    assert await world.facts() == (0, 0)


async def test_a_clock_that_was_set_back_does_not_double_what_is_on_the_stream(
    world: World, clock: FakeClock
) -> None:
    await world.put("there")
    clock.jump_for_test(-10 * 86400.0)
    world.store.streams = {"events": {("/agora/main", "there")}}  # and its mark has ended
    await world.drained()
    assert world.store.stored == []


@pytest.mark.parametrize("jump", [-10 * 86400.0, 10 * 86400.0])
async def test_a_clock_that_jumps_drops_no_copy_early_and_keeps_none_for_ever(
    world: World, clock: FakeClock, jump: float
) -> None:
    world.keep = 10.0
    await world.put("a")
    await world.drained()
    clock.jump_for_test(jump)
    clock.advance(9.0)
    await world.drain.tidy()
    assert await world.facts() == (0, 1)
    clock.advance(2.0)
    await world.drain.tidy()
    assert await world.facts() == (0, 0)


async def test_an_old_body_of_the_quarantine_is_never_taken_for_another(
    world: World, clock: FakeClock
) -> None:
    fields = ["source", "/agora/main", "reason", "unreadable"]
    old = Append("quarantine", ("q-1",), fields, b"no json")
    await world.spool.put([(old, int((clock.now() - 2 * WINDOW) * 1000))])
    world.store.streams = {"quarantine": {("/agora/main", "")}}
    await world.drained()
    assert world.store.stored == [b"no json"]


async def test_no_copy_is_dropped_while_the_store_is_away(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    """Killed just after it took an event, and away for longer than copies are kept."""
    there = True
    safety = safety_of(world, tmp_path / "safety")
    safety.serve(inbox_of(world, safety), store_is_there=lambda: there)
    safety.learnt(found("redis-memory"))
    assert safety.keep() == 10.0
    there = False
    world.keep = safety.keep()
    await world.put("a")
    await world.drained()
    clock.advance(3600.0)
    await world.drain.tidy()
    assert await world.facts() == (0, 1)
    await safety.close()


def safety_of(world: World, folder: Path) -> Safety:
    return Safety(
        world.store,
        folder=folder,
        limit=1 << 24,
        shadow=30.0,
        window=WINDOW,
        durability="disk",
        health=Health(world.clock),
        clock=world.clock,
        metrics=ReceiverMetrics(CollectorRegistry()),
    )


def inbox_of(world: World, safety: Safety) -> Inbox:
    return Inbox(
        world.store,
        safety.spool,
        metrics=world.metrics,
        clock=world.clock,
        deadline=8.0,
        hedge_after=2.0,
    )


@pytest.mark.parametrize("copy", [True, False])
async def test_a_spool_full_of_copies_has_room_for_what_is_new(world: World, *, copy: bool) -> None:
    large = [(item(f"old{n}", size=60_000), 1) for n in range(250)]  # of 16 MiB
    await world.spool.copy(large, at_ms=1)
    new = [(item(f"new{n}", size=60_000), 2) for n in range(200)]  # more than half of them
    if copy:
        await world.spool.copy(new, at_ms=2)
        waiting, copies = await world.facts()
        assert (waiting, copies >= 200) == (0, True)
    else:
        await world.spool.put(new)
        waiting, copies = await world.facts()
        assert (waiting, copies < 100) == (200, True)


async def test_copies_of_an_earlier_run_are_offered_again(world: World) -> None:
    world.keep = 1000.0
    await world.put("a")
    await world.drained()
    await world.spool.close()
    world.spool = world.open(world.path)
    assert (await world.spool.open()).waiting == 1


async def test_a_copy_that_outlived_its_mark_is_looked_for_in_the_stream(
    world: World, clock: FakeClock
) -> None:
    await world.put("there", "lost", at=clock.now() - WINDOW - 1)
    await world.put("young")
    world.store.streams = {"events": {("/agora/main", "there"), ("/agora/main", "young")}}
    await world.drained()
    assert world.store.stored == [b"lost", b"young"]
    assert await world.facts() == (0, 0)


async def test_rows_that_the_disk_altered_are_put_aside_and_the_others_go_on(world: World) -> None:
    import sqlite3

    await world.put(*"abc")
    with sqlite3.connect(world.path) as db:
        db.execute("UPDATE notices SET data = X'00' WHERE mark = 'b'")
    db.close()
    await world.drained()
    assert world.store.known == {"a", "c"}
    assert world.registry.get_sample_value("agora_sidecar_spool_damaged_total") == 1


async def test_a_file_damaged_while_it_is_used_is_salvaged_and_the_event_is_safe(
    world: World,
) -> None:
    await world.put("a")
    await world.drained()
    await world.spool.close()
    world.path.write_bytes(b"not a database at all" * 400)
    world.spool = world.open(world.path)
    await world.put("b")
    assert await world.facts() == (1, 0)
    assert world.registry.get_sample_value("agora_sidecar_spool_damaged_total") == 1


async def test_what_was_read_before_a_salvage_names_no_row_behind_it(world: World) -> None:
    """A batch is at the store while the file turns out to be damaged: what it says then, that the
    store has these rows, must not be taken for others that the store has never seen."""
    await world.put(*(f"before {number}" for number in range(100)))
    await world.drained()
    names = {f"n{number}" for number in range(400)}
    await world.put(*sorted(names))
    at_the_store = await world.spool.waiting(after=0, count=BATCH)
    await world.spool.close()
    damage_a_free_page(world.path)
    world.spool = world.open(world.path)
    await world.spool.taken([row.id for row in at_the_store], keep_at=None)
    assert await world.facts() == (400, 0)
    world.drain = world.drain_of(world.spool)
    await world.drained()
    assert names <= world.store.known


def damage_a_free_page(path: Path) -> None:
    """So that the check of the file fails and every row can be read."""
    import sqlite3

    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'altered'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 8)


async def test_files_that_nobody_holds_are_given_back_and_deleted(
    world: World, tmp_path: Path
) -> None:
    await world.put(*"ab")
    await world.spool.close()
    adoption = Adoption(tmp_path, clock=world.clock, open_spool=world.open, drain=world.drain_of)
    mine = claim_own(tmp_path)
    assert await adoption.once() == 0  # it is held
    mine.release()
    assert await adoption.once() == 1
    assert world.store.known == {"a", "b"}
    assert not world.path.exists()
    world.spool = world.open(tmp_path / "spool-9.db")


async def test_an_adopted_copy_is_offered_again_too_when_the_store_was_restarted(
    world: World, tmp_path: Path
) -> None:
    orphan = world.open(tmp_path / "spool-1.db")
    await orphan.put([(item("a"), int(world.clock.now() * 1000))])
    await orphan.close()
    safety = safety_of(world, tmp_path)
    await safety.open()
    safety.serve(inbox_of(world, safety), store_is_there=lambda: True)
    safety.learnt(found("redis-memory", aof="0", identity="one"))
    running = asyncio.create_task(safety.run())
    await eventually(world, lambda: world.store.stored == [b"a"])

    world.store.known.clear()  # killed before it was on its disk
    safety.learnt(found("redis-memory", aof="0", identity="another"))
    await eventually(world, lambda: world.store.stored == [b"a", b"a"])
    await end([running])
    await safety.close()
    assert (tmp_path / "spool-1.db").exists()  # with the copy, for as long as copies are kept


async def test_what_a_full_disk_owes_is_offered_again_when_the_store_was_restarted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise JournalError("full", "no space left")

    world.keep = 10.0
    await world.put("a")
    with monkeypatch.context() as full:
        full.setattr(world.spool, "taken", refuse)
        await world.drained()
    world.store.known.clear()  # killed before it was on its disk
    await world.drain.offer_again()
    await world.drained()
    assert world.store.stored == [b"a", b"a"]


async def test_rows_that_the_disk_altered_outlive_an_adoption(world: World, tmp_path: Path) -> None:
    import sqlite3

    await world.put(*"ab")
    await world.spool.close()
    with closing(sqlite3.connect(world.path)) as db, db:
        db.execute("UPDATE notices SET data = X'00' WHERE mark = 'b'")
    adoption = Adoption(tmp_path, clock=world.clock, open_spool=world.open, drain=world.drain_of)
    assert await adoption.once() == 1
    assert world.store.known == {"a"}
    (kept,) = damaged(tmp_path)
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT mark FROM altered").fetchall() == [("b",)]
    assert not world.path.exists()
    world.spool = world.open(tmp_path / "spool-9.db")


async def eventually(world: World, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not true():
            await asyncio.sleep(0.005)
            world.clock.advance(0.5)


async def test_what_is_in_the_file_is_told_and_so_is_a_disk_that_fails(world: World) -> None:
    world.store.fail_with = StoreError("unreachable", "gone")
    await world.put("a")
    running = asyncio.create_task(world.drain.run())
    for _ in range(100):
        await asyncio.sleep(0.005)
        if world.looks:
            break
    running.cancel()
    facts, problem = world.looks[-1]
    assert facts is not None
    assert (facts.waiting, problem) == (1, "")


def found(
    level: str, *, replicated: bool = False, aof: str = "1", identity: str = ""
) -> Durability:
    facts = {"aof_enabled": aof}
    return Durability(level, "", facts, replicated=replicated, identity=identity)


@pytest.mark.parametrize(
    ("durability", "copies"),
    [
        (found("redis-fsync"), Copies(0)),
        (found("redis-fsync", replicated=True), Copies(30, of_all=True)),
        (found("redis-memory"), Copies(10)),
        (found("redis-memory", replicated=True), Copies(30, of_all=True)),
        (found("redis-memory", aof="0"), Copies(WINDOW)),
    ],
)
def test_how_long_a_copy_is_kept_follows_from_what_the_store_may_forget(
    durability: Durability, copies: Copies
) -> None:
    assert copies_for(durability, shadow=30.0, window=WINDOW) == copies
