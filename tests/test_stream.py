import asyncio
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_sidecar.agora.notifications import read_notification
from agora_sidecar.entry import finding_fields, notification_fields, read_entry, rfc3339
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, StoreError, connect
from agora_sidecar.stream import (
    Append,
    GroupReader,
    Outcome,
    Writer,
    abandoned,
    at_home,
)

KEYS = Keys()
pytestmark = pytest.mark.integration


def notice_bytes(notice_id: str = "n-1", **changes: object) -> bytes:
    payload = {
        "cname": "room",
        "uid": "7",
        "sid": "s" * 32,
        "sequence": 3,
        "sendts": 1_700_000_000_123,
    }
    envelope = {
        "noticeId": notice_id,
        "productId": 3,
        "eventType": 31,
        "notifyMs": 1_700_000_000_999,
        "payload": payload,
    }
    return json.dumps(envelope | changes, ensure_ascii=False).encode()


def item(notice_id: str = "n-1", *more_marks: str, **changes: object) -> Append:
    notice = read_notification(notice_bytes(notice_id, **changes))
    fields = notification_fields(notice, source="default", received_ms=1_700_000_001_000)
    return Append(KEYS.events, (KEYS.seen("default", notice_id), *more_marks), fields, notice.body)


def writer(client: Redis) -> Writer:
    return Writer(client, dedupe_window=60.0)


async def entries(client: Redis) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await client.xrange(KEYS.events)]


async def test_an_entry_has_the_public_layout(redis: Redis) -> None:
    body = notice_bytes(surprise="é\x00")
    notice = read_notification(body)
    fields = notification_fields(notice, source="main", received_ms=1_700_000_001_000)
    await writer(redis).append_once(
        [Append(KEYS.events, (KEYS.seen("main", "n-1"),), fields, body)]
    )

    assert await entries(redis) == [
        {
            b"specversion": b"1.0",
            b"id": b"n-1",
            b"source": b"/agora/main",
            b"type": b"io.agora.cloud_recording.uploaded",
            b"subject": b"s" * 32,
            b"time": b"2023-11-14T22:13:20.123Z",
            b"datacontenttype": b"application/json",
            b"data": body,
            b"productid": b"3",
            b"eventtype": b"31",
            b"cname": b"room",
            b"uid": b"7",
            b"sequence": b"3",
            b"notifyms": b"1700000000999",
            b"receivedms": b"1700000001000",
            b"origin": b"webhook",
        }
    ]


def test_an_undocumented_event_is_typed_by_its_numbers_and_lacks_what_is_unknown() -> None:
    notice = read_notification(b'{"noticeId":"a","productId":1,"eventType":101}')
    fields = notification_fields(notice, source="default", received_ms=1_700_000_001_000)
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))

    assert pairs["type"] == "io.agora.product.1.event.101"
    assert pairs["subject"] == ""
    assert pairs["time"] == "2023-11-14T22:13:21.000Z"
    assert not {"cname", "uid", "sequence", "notifyms"} & set(pairs)


def test_a_finding_is_an_entry_like_any_other() -> None:
    fields = finding_fields(
        sid="abc",
        kind="closed",
        number=1,
        source="default",
        cname="c",
        uid="7",
        data=b"{}",
        now_ms=1,
    )
    assert dict(zip(fields[::2], fields[1::2], strict=True)) == {
        "specversion": "1.0",
        "id": "sidecar:abc:closed:1",
        "source": "/agora-sidecar/default",
        "type": "io.agora.sidecar.recording.closed",
        "subject": "abc",
        "time": "1970-01-01T00:00:00.001Z",
        "datacontenttype": "application/json",
        "data": b"{}",
        "cname": "c",
        "uid": "7",
        "receivedms": "1",
        "origin": "reconciler",
    }


@pytest.mark.parametrize("odd", [None, 0, -5, 253_402_300_800_000, 2**63])
def test_a_time_that_no_calendar_can_write_is_passed_over(odd: int | None) -> None:
    assert rfc3339(odd, 1_000) == "1970-01-01T00:00:01.000Z"


async def test_a_known_notice_is_not_appended_again(redis: Redis) -> None:
    w = writer(redis)
    assert await w.append_once([item("a"), item("b"), item("a")]) == [
        Outcome.STORED,
        Outcome.STORED,
        Outcome.DUPLICATE_NOTICE,
    ]
    assert await w.append_once([item("b", notifyMs=5)]) == [Outcome.DUPLICATE_NOTICE]
    assert [entry[b"id"] for entry in await entries(redis)] == [b"a", b"b"]


async def test_an_equal_payload_is_recognised_where_it_is_marked(redis: Redis) -> None:
    same = KEYS.same("default", "digest")
    w = writer(redis)
    assert await w.append_once([item("a", same)]) == [Outcome.STORED]
    assert await w.append_once([item("b", same)]) == [Outcome.DUPLICATE_PAYLOAD]
    assert len(await entries(redis)) == 1


async def test_a_mark_lives_as_long_as_the_window(redis: Redis) -> None:
    await writer(redis).append_once([item("a")])
    left = await redis.pttl(KEYS.seen("default", "a"))
    assert 0 < left <= 60_000


async def test_a_failed_append_leaves_no_mark(redis: Redis) -> None:
    await redis.set(KEYS.events, "not a stream")
    with pytest.raises(StoreError) as caught:
        await writer(redis).append_once([item("a")])
    assert caught.value.kind in {"wrongtype", "refused"}
    await redis.delete(KEYS.events)
    assert await writer(redis).append_once([item("a")]) == [Outcome.STORED]


async def test_a_user_who_could_append_but_not_remember_appends_nothing(
    redis: Redis, redis_url: str
) -> None:
    """Otherwise each attempt would append the same notice again."""
    rights = ("~*", "-@all", "+eval", "+evalsha", "+exists", "+xadd")
    await redis.execute_command("ACL", "SETUSER", "few", "on", ">p", "resetkeys", *rights)
    few = connect(redis_url.replace("unix://", "unix://few:p@"))
    try:
        for _ in range(3):
            with pytest.raises(StoreError) as caught:
                await writer(few).append_once([item("a"), item("b")])
            assert caught.value.kind == "noperm"
        assert await entries(redis) == []
        await redis.execute_command("ACL", "SETUSER", "few", "+set")
        assert await writer(few).append_once([item("a")]) == [Outcome.STORED]
    finally:
        await few.aclose()
        await redis.execute_command("ACL", "DELUSER", "few")


async def test_the_script_comes_back_by_itself(redis: Redis) -> None:
    w = writer(redis)
    await w.append_once([item("a")])
    await redis.script_flush()
    assert await w.append_once([item("b")]) == [Outcome.STORED]


@pytest.mark.parametrize(
    ("count", "there", "found"),
    [
        (1, ["{ncs}:events", "{ncs:0}:events"], ["{ncs:0}:events"]),
        (1, ["{ncs}:events", "{ncs}:quarantine", "{other:0}:events"], []),
        (4, ["{ncs}:events", "{ncs:3}:events"], ["{ncs}:events"]),
        (4, ["{ncs:0}:events", "{ncs:4}:events"], ["{ncs:4}:events"]),
    ],
)
async def test_streams_of_another_number_of_shards_are_found(
    redis: Redis, count: int, there: list[str], found: list[str]
) -> None:
    for key in there:
        await redis.xadd(key, {"a": "b"})
    assert await abandoned(redis, Shards("ncs", count)) == found


@settings(max_examples=100)
@given(
    before=st.integers(1, 8), after=st.integers(1, 8), sid=st.text(max_size=8), other=st.booleans()
)
def test_an_entry_finds_home_whatever_it_was_made_for(
    *, before: int, after: int, sid: str, other: bool
) -> None:
    was, now = Shards("old" if other else "ncs", before), Shards("ncs", after)
    fields = ["id", "n", "subject", sid]

    def made(shards: Shards) -> Append:
        keys = shards.of(sid)
        return Append(keys.events, (keys.seen("s", "}:n"), keys.same("s", "d")), fields, b"")

    assert at_home(made(was), now) == made(now)


async def test_a_store_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/nobody")
    with pytest.raises(StoreError, match="unreachable"):
        await writer(client).append_once([item("a")])
    await client.aclose()


def reader(client: Redis, consumer: str = "one") -> GroupReader:
    return GroupReader(client, KEYS, group="g", consumer=consumer)


async def read_all(group: GroupReader, wanted: int) -> list[str]:
    """Ids read until `wanted` are there; the first read makes the group."""
    found: list[str] = []
    for _ in range(20):
        if len(found) >= wanted:
            break
        found += [entry.id for entry in await group.read(count=100, block=0.05)]
    return found


async def test_a_group_makes_itself_and_reads_from_the_beginning(redis: Redis) -> None:
    await writer(redis).append_once([item("a"), item("b")])
    assert await read_all(reader(redis), 2) == ["a", "b"]


async def test_a_group_that_vanished_goes_on_where_it_was(redis: Redis) -> None:
    group = reader(redis)
    await writer(redis).append_once([item("a")])
    assert await read_all(group, 1) == ["a"]
    await redis.xgroup_destroy(KEYS.events, "g")
    await writer(redis).append_once([item("b")])
    assert await read_all(group, 1) == ["b"]


async def test_a_store_that_came_back_empty_with_older_ids_is_read_from_the_beginning(
    redis: Redis,
) -> None:
    group = reader(redis)
    await redis.xadd(KEYS.events, {"id": "future"}, id="99999999999999-0")
    assert await read_all(group, 1) == ["future"]
    await redis.flushall()
    await writer(redis).append_once([item("after")])
    assert await read_all(group, 1) == ["after"]


async def test_what_a_dead_member_left_is_reclaimed_and_acknowledged(redis: Redis) -> None:
    await writer(redis).append_once([item("a")])
    assert await read_all(reader(redis, "dead"), 1) == ["a"]
    heir = reader(redis, "heir")
    left = await heir.reclaim(count=10, idle=0.0)
    assert [entry.id for entry in left] == ["a"]
    await heir.acknowledge([entry.stream_id for entry in left])
    assert await heir.reclaim(count=10, idle=0.0) == []
    await heir.acknowledge([])


def test_a_foreign_entry_does_no_harm() -> None:
    entry = read_entry(b"1-0", {b"what": b"ever", b"id": b"\xff"})
    assert (entry.stream_id, entry.id, entry.data, entry.origin) == (
        "1-0",
        "\N{REPLACEMENT CHARACTER}",
        b"",
        "",
    )


async def test_any_interleaving_of_writers_stores_each_notice_once(redis: Redis) -> None:
    ids = [f"n{number % 20}" for number in range(200)]
    batches = [ids[start : start + 7] for start in range(0, 200, 7)]
    outcomes = await asyncio.gather(
        *(writer(redis).append_once([item(notice) for notice in batch]) for batch in batches)
    )
    stored = [o for o in itertools.chain(*outcomes) if o is Outcome.STORED]
    assert len(stored) == 20
    assert sorted(entry[b"id"].decode() for entry in await entries(redis)) == sorted(set(ids))


async def test_a_batch_over_several_shards_gets_its_outcomes_in_its_own_order(
    redis: Redis,
) -> None:
    shards = Shards("ncs", 4)

    def item(number: int) -> Append:
        keys = shards.of(f"sid-{number}")
        return Append(keys.events, (keys.seen("default", str(number)),), ["id", str(number)], b"{}")

    batch = [item(number) for number in range(20)]
    assert len({item.stream for item in batch}) > 1
    assert await writer(redis).append_once(batch[::2]) == [Outcome.STORED] * 10
    outcomes = await writer(redis).append_once(batch)
    assert outcomes == [Outcome.DUPLICATE_NOTICE, Outcome.STORED] * 10
    assert sum([await redis.xlen(keys.events) for keys in shards.all]) == 20
