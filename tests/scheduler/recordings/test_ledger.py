"""One suite for the ledger in memory and the one in Redis, then what only Redis can show."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from agora_sidecar.agora.recordings import File
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, StoreError, connect
from scheduler.leadership import Lease
from scheduler.recordings.ledger import (
    TRIES,
    Change,
    ConflictError,
    FencedError,
    Finding,
    Ledger,
    SessionUnreadableError,
    fold,
)
from scheduler.recordings.observe import observe
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.session import Reading, Session, State
from scheduler.recordings.sharded_ledger import ShardedLedger
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import MemoryLedger
from tests.scheduler.recordings.evidence_samples import NOW, SID, event, session

integration = pytest.mark.integration
TOLD = Finding("closed", b'{"reason":"uploaded"}')


@pytest.fixture(
    params=["memory", *(pytest.param(kind, marks=integration) for kind in ("redis", "shards"))]
)
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    client = connect(request.getfixturevalue("redis_url"))
    await client.flushall()
    shards = Shards("test", 8 if request.param == "shards" else 1)
    if request.param == "shards":
        yield ShardedLedger(client, shards, keep=1000)
    else:
        yield RedisLedger(client, shards.all[0], keep=1000)
    await client.aclose()


def everything_known() -> Session:
    known = session(max_duration=60.5, max_idle_time=30.0, stop_wanted="requested")
    known = observe(known, event(Reading.STARTED, text="40 recorder_started"))
    return observe(known, event(Reading.EXITED, NOW + 1, files=(File("é.m3u8", uid="0"),)))


async def test_what_was_saved_is_loaded_with_the_next_version(ledger: Ledger) -> None:
    known = everything_known()

    saved = await ledger.save(Change(known), due=NOW, now=NOW)

    assert saved == replace(known, version=1)
    assert await ledger.load(SID) == saved


async def test_what_is_not_known_is_none(ledger: Ledger) -> None:
    assert await ledger.load("nobody") is None


async def test_a_field_that_became_unknown_again_is_gone(ledger: Ledger) -> None:
    saved = await ledger.save(Change(session(missing_since=NOW)), due=None, now=NOW)

    await ledger.save(Change(replace(saved, missing_since=None)), due=None, now=NOW)

    loaded = await ledger.load(SID)
    assert loaded is not None
    assert loaded.missing_since is None


async def test_who_saves_an_old_version_is_refused_and_changes_nothing(ledger: Ledger) -> None:
    first = await ledger.save(Change(session()), due=NOW, now=NOW)
    second = await ledger.save(Change(replace(first, cname="two")), due=NOW, now=NOW)

    with pytest.raises(ConflictError):
        await ledger.save(Change(replace(first, cname="three")), due=None, now=NOW)

    assert await ledger.load(SID) == second
    assert await ledger.due(now=NOW, limit=9) == [SID]


async def test_the_due_ones_come_oldest_first_and_no_more_than_wanted(ledger: Ledger) -> None:
    for sid, at in (("c", 3.0), ("a", 1.0), ("b", 2.5), ("later", 10.0), ("never", None)):
        await ledger.save(Change(session(sid=sid)), due=at, now=NOW)

    assert await ledger.due(now=3.0, limit=2) == ["a", "b"]
    assert await ledger.due(now=3.0, limit=9) == ["a", "b", "c"]
    assert await ledger.next_due() == 1.0


async def test_a_postponed_one_is_due_later_and_without_a_time_never(ledger: Ledger) -> None:
    await ledger.save(Change(session()), due=1.0, now=NOW)

    await ledger.postpone(SID, 5.0)
    assert await ledger.next_due() == 5.0

    await ledger.postpone(SID, None)
    assert await ledger.next_due() is None


async def test_who_knows_an_old_version_cannot_postpone_what_somebody_else_made_due(
    ledger: Ledger,
) -> None:
    first = await ledger.save(Change(session()), due=100.0, now=NOW)
    await ledger.save(Change(first), due=1.0, now=NOW)

    await ledger.postpone(SID, None, version=first.version)

    assert await ledger.next_due() == 1.0


async def test_a_forgotten_one_is_unknown_and_not_due_and_may_be_made_known_again(
    ledger: Ledger,
) -> None:
    await ledger.save(Change(session()), due=1.0, now=NOW)

    assert await ledger.forget(SID)
    assert await ledger.load(SID) is None
    assert await ledger.due(now=NOW, limit=9) == []
    assert not await ledger.forget(SID)
    await ledger.save(Change(session()), due=1.0, now=NOW)
    assert await ledger.load(SID) == session(version=1)


async def test_all_are_listed_up_to_the_limit(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.save(Change(session(sid=f"sid{number}")), due=None, now=NOW)

    assert {s.sid for s in await ledger.all(limit=9)} == {f"sid{n}" for n in range(5)}
    assert len(await ledger.all(limit=2)) == 2


async def test_who_does_not_lead_may_not_write_under_the_lease(ledger: Ledger) -> None:
    with pytest.raises(FencedError):
        await ledger.save(Change(session(), TOLD), due=None, now=NOW, token="somebody:7")

    assert await ledger.load(SID) is None


async def test_open_sessions_are_counted_by_state(ledger: Ledger) -> None:
    await ledger.save(Change(session(sid="a")), due=None, now=NOW)
    await ledger.save(
        Change(session(sid="b", state=State.CLOSED, findings=("closed",))), due=None, now=NOW
    )

    counts = ledger.open_by_state()

    assert (counts[State.STARTING], counts[State.CLOSED]) == (1, 0)


async def test_adopting_puts_what_is_open_and_off_the_schedule_back_on_it(ledger: Ledger) -> None:
    await ledger.save(Change(session(sid="lost")), due=None, now=NOW)
    await ledger.save(Change(session(sid="known")), due=NOW + 50, now=NOW)
    await ledger.save(Change(session(sid="over", findings=("closed",))), due=None, now=NOW)

    await ledger.adopt(now=NOW)

    assert await ledger.due(now=NOW + 99, limit=9) == ["lost", "known"]


async def test_folding_loads_again_when_somebody_else_saved_first(ledger: Ledger) -> None:
    first = await ledger.save(Change(session()), due=None, now=NOW)
    seen: list[str] = []

    class Interrupted:
        """The ledger, with somebody else saving between our load and our save."""

        async def load(self, sid: str) -> Session | None:
            loaded = await ledger.load(sid)
            if not seen:
                await ledger.save(Change(replace(first, stop_wanted="x")), due=None, now=NOW)
            return loaded

        async def save(self, change: Change, **known: Any) -> Session:
            return await ledger.save(change, **known)

    def news(found: Session | None) -> Change:
        assert found is not None
        seen.append(found.stop_wanted)
        return Change(replace(found, cname="other"))

    saved = await fold(
        Interrupted(),  # type: ignore[arg-type] - only what folding uses
        SID,
        news,
        now=NOW,
        timings=Timings(),
    )

    assert seen == ["", "x"]
    assert saved is not None
    assert (saved.cname, saved.stop_wanted, saved.version) == ("other", "x", 3)


async def test_folding_gives_up_when_others_never_stop_saving() -> None:
    tried = 0

    class Busy(MemoryLedger):
        async def save(self, change: Change, **_: Any) -> Session:
            nonlocal tried
            tried += 1
            raise ConflictError("busy")

    with pytest.raises(ConflictError):
        await fold(Busy(), SID, lambda _: Change(session()), now=NOW, timings=Timings())

    assert tried == TRIES


async def test_news_that_change_nothing_save_nothing(ledger: Ledger) -> None:
    saved = await ledger.save(Change(session()), due=None, now=NOW)

    assert await fold(ledger, SID, lambda _: None, now=NOW, timings=Timings()) is None
    assert await ledger.load(SID) == saved


@pytest.fixture
def keys() -> Keys:
    return Keys("test")


@pytest.fixture
async def leader(redis: Redis, keys: Keys) -> Lease:
    lease = Lease(redis, keys, LEASE, length=10, clock=FakeClock())
    await lease.hold()
    return lease


@pytest.fixture
def redis_ledger(redis: Redis, keys: Keys) -> RedisLedger:
    return RedisLedger(redis, keys, keep=1000)


@integration
async def test_a_finding_is_an_entry_of_the_public_layout(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys, leader: Lease
) -> None:
    change = Change(session(findings=("closed",)), TOLD)

    await redis_ledger.save(change, due=None, now=NOW, token=leader.token)

    [(stream_id, fields)] = await redis.xrange(keys.events)
    assert fields == {
        b"specversion": b"1.0",
        b"id": f"sidecar:{SID}:closed:1".encode(),
        b"source": b"/agora-sidecar/default",
        b"type": b"io.agora.sidecar.recording.closed",
        b"subject": SID.encode(),
        b"time": b"2023-11-14T22:13:20.000Z",
        b"datacontenttype": b"application/json",
        b"data": TOLD.data,
        b"cname": b"room",
        b"uid": b"527841",
        b"receivedms": b"1700000000000",
        b"origin": b"reconciler",
    }
    assert await redis.hget(keys.recording(SID), "finding:closed") == stream_id


@integration
async def test_a_finding_that_was_told_is_not_told_again(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys, leader: Lease
) -> None:
    saved = await redis_ledger.save(Change(session(), TOLD), due=None, now=NOW, token=leader.token)

    await redis_ledger.save(Change(saved, TOLD), due=None, now=NOW, token=leader.token)

    assert await redis.xlen(keys.events) == 1


@integration
async def test_a_finding_is_not_told_when_its_session_is_not_saved(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys, leader: Lease
) -> None:
    await redis_ledger.save(Change(session()), due=None, now=NOW)

    with pytest.raises(ConflictError):
        await redis_ledger.save(Change(session(), TOLD), due=None, now=NOW, token=leader.token)

    assert await redis.xlen(keys.events) == 0


@integration
async def test_a_leader_whose_lease_went_to_somebody_else_tells_nothing(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys, leader: Lease
) -> None:
    await redis.delete(keys.lease(LEASE))
    await Lease(redis, keys, LEASE, length=10, clock=FakeClock()).hold()

    with pytest.raises(FencedError):
        await redis_ledger.save(Change(session(), TOLD), due=None, now=NOW, token=leader.token)

    assert await redis.xlen(keys.events) == 0


@integration
async def test_only_a_told_recording_expires(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    saved = await redis_ledger.save(Change(session()), due=None, now=NOW)
    assert await redis.ttl(keys.recording(SID)) == -1

    await redis_ledger.save(Change(replace(saved, findings=("closed",))), due=None, now=NOW)
    assert 990 < await redis.ttl(keys.recording(SID)) <= 1000


@integration
async def test_the_hash_is_readable_by_anybody(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis_ledger.save(Change(everything_known()), due=None, now=NOW)

    found = await redis.hgetall(keys.recording(SID))

    assert found[b"state"] == b"uploading"
    assert found[b"cname"] == b"room"
    assert found[b"ended_by"] == b"event"
    assert json.loads(found[b"files"])[0]["name"] == "é.m3u8"
    assert b"closed_at" not in found


@integration
async def test_open_recordings_are_written_back_to_a_store_that_came_back_empty(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    open_one = await redis_ledger.save(Change(session()), due=NOW + 50, now=NOW)
    over = session(sid="over", state=State.CLOSED, findings=("closed",))
    await redis_ledger.save(Change(over), due=None, now=NOW)
    await redis.flushall()

    assert await redis_ledger.restore(now=NOW + 1) == 1

    assert await RedisLedger(redis, keys, keep=9).load(SID) == open_one
    assert await redis_ledger.due(now=NOW + 1, limit=9) == [SID]


@integration
async def test_news_of_a_recording_that_the_store_lost_are_folded_into_what_is_remembered(
    redis_ledger: RedisLedger, redis: Redis
) -> None:
    await redis_ledger.save(Change(session(resource_id="kept")), due=None, now=NOW)
    await redis.flushall()

    loaded = await redis_ledger.load(SID)

    assert loaded == session(resource_id="kept", version=0)


@integration
async def test_what_is_in_the_store_is_not_overwritten_by_what_is_remembered(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis_ledger.save(Change(session()), due=None, now=NOW)
    other = RedisLedger(redis, keys, keep=9)
    loaded = await other.load(SID)
    assert loaded is not None
    newer = await other.save(Change(replace(loaded, findings=("closed",))), due=None, now=NOW)

    assert await redis_ledger.restore(now=NOW) == 0
    assert await redis_ledger.load(SID) == newer


@integration
async def test_what_was_remembered_for_longer_than_closed_ones_are_kept_is_not_written_back(
    redis_ledger: RedisLedger, redis: Redis
) -> None:
    await redis_ledger.save(Change(session()), due=None, now=NOW)
    await redis.flushall()

    assert await redis_ledger.restore(now=NOW + 1001) == 0


@integration
async def test_what_another_process_forgot_is_not_remembered_back(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis_ledger.save(Change(session()), due=None, now=NOW)

    await RedisLedger(redis, keys, keep=1000).forget(SID)

    assert await redis_ledger.load(SID) is None
    assert redis_ledger.open_by_state()[State.STARTING] == 0


@integration
@pytest.mark.parametrize(
    "content",
    [
        {"state": "no such state", "sid": SID},
        {"foreign": "x"},
        {"files": "{"},
        {"sid": "another", "created_at": "1", "started_at": "1"},
    ],
)
async def test_a_hash_that_is_no_session_is_said_to_be_unreadable_and_left_out(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys, content: dict[str, str]
) -> None:
    await redis.hset(keys.recording(SID), mapping=content)

    with pytest.raises(SessionUnreadableError) as caught:
        await redis_ledger.load(SID)
    assert caught.value.sid == SID
    assert await redis_ledger.all(limit=9) == []
    assert await redis_ledger.forget(SID)


@integration
async def test_what_is_no_sid_on_the_schedule_is_taken_off_it(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis.zadd(keys.due, {b"\xff\xfe": NOW - 9, "ours": NOW})

    assert await redis_ledger.due(now=NOW, limit=9) == ["ours"]
    assert await redis_ledger.next_due() == NOW


@integration
async def test_what_cannot_be_read_does_not_keep_others_from_being_listed(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    for number in range(450):
        await redis_ledger.save(Change(session(sid=f"s{number}")), due=None, now=NOW)
    await redis.set(keys.recording("text"), "x")
    await redis.hset(keys.recording("foreign"), "a", "b")
    await redis_ledger.forget("s7")

    found = await redis_ledger.all(limit=9999)

    assert len({one.sid for one in found}) == 449
    assert len(await redis_ledger.all(limit=201)) == 201


@integration
async def test_what_another_process_closed_is_remembered_no_longer(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    for sid in ("over", "open", "gone"):
        await redis_ledger.save(Change(session(sid=sid)), due=None, now=NOW)
    other = RedisLedger(redis, keys, keep=1000)
    over = session(sid="over", state=State.CLOSED, findings=("closed",), version=1)
    await other.save(Change(over, TOLD), due=None, now=NOW)
    await other.forget("gone")

    await redis_ledger.forget_told()
    await redis.flushall()

    assert sum(redis_ledger.open_by_state().values()) == 1
    assert await redis_ledger.restore(now=NOW) == 1


@integration
async def test_a_key_of_another_type_is_unreadable(
    redis_ledger: RedisLedger, redis: Redis, keys: Keys
) -> None:
    await redis.set(keys.recording(SID), "x")

    with pytest.raises(SessionUnreadableError):
        await redis_ledger.load(SID)


async def test_a_store_that_is_away_is_a_store_error(keys: Keys) -> None:
    away = RedisLedger(connect("unix:///nonexistent/socket"), keys, keep=9)

    with pytest.raises(StoreError):
        await away.load(SID)
    with pytest.raises(StoreError):
        await away.save(Change(session()), due=None, now=NOW)
    with pytest.raises(StoreError):
        await away.due(now=NOW, limit=1)


async def test_a_claim_is_one_leaders_until_it_saves(ledger: Ledger) -> None:
    await lead(ledger, "one:1")
    saved = await ledger.save(Change(session()), due=None, now=NOW)
    assert await ledger.claim(SID, token="one:1", length=60)
    assert await ledger.claim(SID, token="one:1", length=60)

    with pytest.raises(FencedError):
        await ledger.claim(SID, token="other:1", length=60)
    await lead(ledger, "two:2")
    assert not await ledger.claim(SID, token="two:2", length=60)

    await lead(ledger, "one:1")
    await ledger.save(Change(saved), due=None, now=NOW, token="one:1")
    await lead(ledger, "two:2")
    assert await ledger.claim(SID, token="two:2", length=60)


async def test_what_is_absent_is_neither_there_nor_forgotten(ledger: Ledger) -> None:
    for sid in ("there", "forgotten"):
        await ledger.save(Change(session(sid=sid)), due=None, now=NOW)
    await ledger.forget("forgotten")

    assert await ledger.absent(["there", "gone", "forgotten", "never"]) == ["gone", "never"]
    assert await ledger.absent([]) == []


async def test_what_is_due_is_counted(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.save(Change(session(sid=f"s{number}")), due=NOW + number, now=NOW)

    assert await ledger.behind(now=NOW + 2) == 3
    assert await ledger.behind(now=NOW - 1) == 0


async def lead(ledger: Ledger, token: str) -> None:
    """Let this token be the lease's."""
    if isinstance(ledger, MemoryLedger):
        ledger.leader_for_test = token
        return
    for shard in [ledger] if isinstance(ledger, RedisLedger) else getattr(ledger, "parts", []):
        await shard._client.set(shard._keys.lease(LEASE), token)
