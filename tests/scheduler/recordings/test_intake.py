"""Intake against a real store: what the receiver would have put there becomes sessions."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agora_sidecar.agora.notifications import read_notification
from agora_sidecar.entry import Entry, finding_fields, notification_fields
from agora_sidecar.keys import GROUP, Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.store import Redis, StoreError
from agora_sidecar.stream import GroupReader
from scheduler.recordings.intake import RECLAIM_IDLE, Intake
from scheduler.recordings.ledger import Change, ConflictError
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.redis_ledger import RedisLedger
from scheduler.recordings.session import Session, State
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import MemoryLedger
from tests.scheduler.recordings.evidence_samples import NOW, SID, session

KEYS = Keys("test")
integration = pytest.mark.integration


def body(
    event_type: int,
    *,
    sid: str = SID,
    number: int = 0,
    payload: dict[str, Any] | None = None,
    **details: Any,
) -> bytes:
    usual = {"cname": "room", "uid": "527841", "sid": sid, "sequence": 0, "details": details}
    payload = usual | (payload or {})
    return json.dumps(
        {
            "noticeId": f"n{event_type}-{number}",
            "productId": 3,
            "eventType": event_type,
            "notifyMs": int(NOW * 1000),
            "payload": payload,
        }
    ).encode()


async def put(
    redis: Redis,
    data: bytes,
    *,
    origin: str = "webhook",
    at: float = NOW,
    source: str = "default",
) -> None:
    """What the receiver puts on the stream."""
    fields = notification_fields(
        read_notification(data), source=source, received_ms=int(at * 1000), origin=origin
    )
    await redis.execute_command("XADD", KEYS.events, "*", *fields, "data", data)


def intake_over(
    redis: Redis, *, consumer: str = "one", registry: CollectorRegistry | None = None
) -> Intake:
    return Intake(
        reader=GroupReader(redis, KEYS, group=GROUP, consumer=consumer),
        ledger=RedisLedger(redis, KEYS, keep=1000),
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(registry or CollectorRegistry()),
        block=0.01,
    )


async def known(redis: Redis, sid: str = SID) -> Session | None:
    return await RedisLedger(redis, KEYS, keep=1000).load(sid)


async def until(condition: Callable[[], Any], *, seconds: float = 10) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the store sets no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(redis: Redis) -> AsyncIterator[None]:
    """An intake of this store with the machine's clock, while the test goes on."""
    stop = asyncio.Event()
    intake = Intake(
        reader=GroupReader(redis, KEYS, group=GROUP, consumer="one"),
        ledger=RedisLedger(redis, KEYS, keep=1000),
        timings=Timings(),
        clock=SystemClock(),
        metrics=RecordingMetrics(CollectorRegistry()),
        block=0.01,
    )
    task = asyncio.create_task(intake.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def drain(intake: Intake) -> None:
    """Take everything that is there, the group's making included."""
    await intake.step()
    while await intake.step():
        pass


@pytest.fixture
def intake(redis: Redis, registry: CollectorRegistry) -> Intake:
    return intake_over(redis, registry=registry)


@integration
async def test_a_recording_known_from_the_stream_belongs_to_its_entrys_source(
    redis: Redis, intake: Intake
) -> None:
    await put(redis, body(40, status=0), source="emea")
    await drain(intake)

    found = await known(redis)
    assert found is not None
    assert found.source == "emea"


@integration
async def test_a_recording_that_nobody_registered_is_tracked_by_its_events_alone(
    redis: Redis, intake: Intake
) -> None:
    await put(redis, body(40, status=0))
    await put(redis, body(43, state=0))

    with capture_logs() as logs:
        await drain(intake)

    found = await known(redis)
    assert found is not None
    assert (found.state, found.cname, found.uid) == (State.RECORDING, "room", "527841")
    assert (found.registered, found.askable(NOW), found.heard_at) == (False, False, NOW)
    # not to be asked about, but to be told of, should it fall silent
    assert await redis.zscore(KEYS.due, SID) > NOW + 100
    assert [e["event"] for e in logs if e["event"] == "recording.unaskable"] == [
        "recording.unaskable"
    ]


@integration
async def test_events_of_a_registered_recording_move_it_and_make_it_due(
    redis: Redis, intake: Intake
) -> None:
    ledger = RedisLedger(redis, KEYS, keep=1000)
    await ledger.save(Change(session()), due=NOW + 5, now=NOW)
    await put(redis, body(31, status=0, fileList=[{"fileName": "a.m3u8"}]))

    await drain(intake)

    found = await known(redis)
    assert found is not None
    assert (found.state, found.closed_reason, found.told) == (State.CLOSED, "uploaded", False)
    assert [file.name for file in found.files] == ["a.m3u8"]
    assert await ledger.due(now=NOW, limit=9) == [SID]


@integration
async def test_what_is_folded_is_acknowledged(redis: Redis, intake: Intake) -> None:
    await put(redis, body(40, status=0))

    await drain(intake)

    assert (await redis.xpending(KEYS.events, GROUP))["pending"] == 0


@integration
async def test_our_own_findings_and_replayed_entries_are_no_evidence(
    redis: Redis, intake: Intake, registry: CollectorRegistry
) -> None:
    await put(redis, body(40, status=0), origin="replay")
    finding = finding_fields(
        sid=SID,
        kind="closed",
        number=1,
        source="default",
        cname="room",
        uid="1",
        data=b"{}",
        now_ms=1,
    )
    await redis.execute_command("XADD", KEYS.events, "*", *finding)

    await drain(intake)

    assert await known(redis) is None
    assert (await redis.xpending(KEYS.events, GROUP))["pending"] == 0
    labels = {"result": "ignored"}
    assert registry.get_sample_value("agora_sidecar_recording_entries_total", labels) == 2


@integration
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"\xff",
        b"[" * 10_000,
        b"{}",
        b'{"noticeId":"n","productId":"3","eventType":40}',
        json.dumps(
            {"noticeId": "n", "productId": 3, "eventType": 40, "payload": {"sid": "s" * 129}}
        ).encode(),
    ],
)
async def test_an_entry_that_cannot_be_read_does_not_stop_the_others(
    redis: Redis, intake: Intake, data: bytes
) -> None:
    await redis.xadd(KEYS.events, {"origin": "webhook", "data": data})
    await redis.xadd(KEYS.events, {"foreign": "entry"})
    await put(redis, body(40, status=0))

    with capture_logs() as logs:
        await drain(intake)

    assert await known(redis) is not None
    assert (await redis.xpending(KEYS.events, GROUP))["pending"] == 0
    assert "recording.entry_unreadable" in {entry["event"] for entry in logs}


@integration
async def test_details_of_wrong_types_are_read_as_far_as_they_go(
    redis: Redis, intake: Intake
) -> None:
    data = json.loads(body(40))
    for details in (None, [], "x", {"status": "0"}, {"status": {}}, {"status": 10**30}):
        data["payload"]["details"] = details
        await put(redis, json.dumps(data).encode())

    await drain(intake)

    found = await known(redis)
    assert found is not None
    assert found.heard_at == NOW


@integration
async def test_what_does_not_speak_of_a_recording_is_left_alone(
    redis: Redis, intake: Intake
) -> None:
    for event_type in (60, 61, 80, 81, 90, 1001):
        await put(redis, body(event_type))
    rtc = json.loads(body(101))
    await put(redis, json.dumps(rtc | {"productId": 1}).encode())
    del rtc["payload"]["sid"]
    await put(redis, json.dumps(rtc | {"eventType": 110}).encode())

    await drain(intake)

    assert await redis.keys(KEYS.recording("*").replace("{", "\\{")) == []
    assert await known(redis, "room") is None


@integration
async def test_a_session_that_cannot_be_read_does_not_stop_the_others(
    redis: Redis, intake: Intake
) -> None:
    await redis.set(KEYS.recording("broken"), "x")
    await put(redis, body(40, sid="broken", status=0))
    await put(redis, body(40, status=0))

    with capture_logs() as logs:
        await drain(intake)

    assert await known(redis) is not None
    assert (await redis.xpending(KEYS.events, GROUP))["pending"] == 0
    assert [e["sid"] for e in logs if e["event"] == "recording.unreadable"] == ["broken"]


@integration
async def test_what_a_crashed_member_left_behind_is_taken_over(redis: Redis) -> None:
    crashed = GroupReader(redis, KEYS, group=GROUP, consumer="crashed")
    await crashed.read(count=1, block=0.01)
    await put(redis, body(40, status=0))
    [entry] = await crashed.read(count=1, block=0.01)
    claim = (
        KEYS.events,
        GROUP,
        "crashed",
        0,
        entry.stream_id,
        "IDLE",
        int(RECLAIM_IDLE * 1000) + 1,
    )
    await redis.execute_command("XCLAIM", *claim)

    await intake_over(redis, consumer="other").step()

    assert await known(redis) is not None
    assert (await redis.xpending(KEYS.events, GROUP))["pending"] == 0


class OneBatch:
    """A reader that gives the same batch until it is acknowledged."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)

    async def read(self, *, count: int, block: float) -> list[Entry]:
        return list(self.entries)

    async def reclaim(self, *, count: int, idle: float) -> list[Entry]:
        return []

    async def acknowledge(self, stream_ids: Sequence[str]) -> None:
        self.entries = [e for e in self.entries if e.stream_id not in stream_ids]


def entry(number: int, data: bytes) -> Entry:
    return Entry(
        stream_id=f"{number}-0",
        id="n",
        source="/agora/default",
        type="t",
        subject=SID,
        time="",
        data=data,
        origin="webhook",
        receivedms=str(int(NOW * 1000)),
    )


async def test_nothing_is_acknowledged_before_it_is_saved() -> None:
    ledger = MemoryLedger()
    reader = OneBatch([entry(1, body(40, status=0))])
    intake = Intake(
        reader=reader,
        ledger=ledger,
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )
    ledger.fail_next = StoreError("unreachable", "away")

    with pytest.raises(StoreError):
        await intake.step()
    assert len(reader.entries) == 1
    assert await ledger.load(SID) is None

    await intake.step()
    assert reader.entries == []


async def test_the_order_within_a_recording_is_kept() -> None:
    ledger = MemoryLedger()
    batch = [
        entry(1, body(40, status=0)),
        entry(2, body(40, sid="other", status=0)),
        entry(3, body(41, leaveCode=24)),
        entry(4, body(11, exitStatus=0)),
    ]
    intake = Intake(
        reader=OneBatch(batch),
        ledger=ledger,
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )

    await intake.step()

    found = await ledger.load(SID)
    assert found is not None
    assert [note.reading for note in found.timeline] == ["started", "leaving", "exited"]
    assert found.version == 1


async def test_a_store_that_is_away_is_waited_for_and_said_once() -> None:
    clock = FakeClock(NOW)
    failures = 3

    class Away(OneBatch):
        async def read(self, *, count: int, block: float) -> list[Entry]:
            nonlocal failures
            if failures:
                failures -= 1
                raise StoreError("unreachable", "away")
            stop.set()
            return []

    stop = asyncio.Event()
    intake = Intake(
        reader=Away([]),
        ledger=MemoryLedger(),
        timings=Timings(),
        clock=clock,
        metrics=RecordingMetrics(CollectorRegistry()),
    )
    with capture_logs() as logs:
        task = asyncio.create_task(intake.run(stop))
        async with asyncio.timeout(10):
            while not task.done():
                await asyncio.sleep(0)
                clock.advance(1)
        await task

    assert [e["event"] for e in logs] == [
        "recording.intake_interrupted",
        "recording.intake_resumed",
    ]


async def test_what_others_keep_changing_stays_pending() -> None:
    class Busy(MemoryLedger):
        async def save(self, change: Change, **_: Any) -> Session:
            raise ConflictError("busy")

    reader = OneBatch([entry(1, body(40, status=0))])
    intake = Intake(
        reader=reader,
        ledger=Busy(),
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )

    await intake.step()

    assert len(reader.entries) == 1


async def test_a_mistake_of_ours_does_not_end_it() -> None:
    class Broken(OneBatch):
        async def read(self, *, count: int, block: float) -> list[Entry]:
            stop.set()
            raise RuntimeError("a bug")

    stop = asyncio.Event()
    intake = Intake(
        reader=Broken([]),
        ledger=MemoryLedger(),
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )

    with capture_logs() as logs:
        await asyncio.wait_for(intake.run(stop), 5)

    assert [entry["event"] for entry in logs] == ["recording.intake_failed"]


async def test_it_ends_at_once_while_it_waits_for_the_store() -> None:
    class Away(OneBatch):
        async def read(self, *, count: int, block: float) -> list[Entry]:
            raise StoreError("unreachable", "away")

    stop = asyncio.Event()
    intake = Intake(
        reader=Away([]),
        ledger=MemoryLedger(),
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )
    task = asyncio.create_task(intake.run(stop))
    await asyncio.sleep(0)
    stop.set()

    await asyncio.wait_for(task, 5)


@integration
async def test_a_store_that_comes_back_empty_while_it_runs_is_read_on(redis: Redis) -> None:
    async with running(redis):
        await put(redis, body(40, status=0))
        await until(lambda: known(redis))
        await redis.flushall()
        await put(redis, body(40, sid="after", status=0))

        await until(lambda: known(redis, "after"))


@integration
async def test_an_open_recording_lost_by_the_store_is_written_back_with_its_next_event(
    redis: Redis,
) -> None:
    async with running(redis):
        await put(redis, body(40, status=0))
        await until(lambda: known(redis))
        await redis.flushall()
        await put(redis, body(41, leaveCode=24))
        await until(lambda: known(redis))

    found = await known(redis)
    assert found is not None
    assert (found.state, found.alive_at is not None) == (State.ENDING, True)


class LedgerWithABug(MemoryLedger):
    """Breaks on one recording."""

    async def load(self, sid: str) -> Session | None:
        if sid == SID:
            raise RuntimeError("a bug")
        return await super().load(sid)


async def test_a_bug_about_one_recording_does_not_stop_the_others() -> None:
    ledger = LedgerWithABug()
    batch = [entry(1, body(40, status=0)), entry(2, body(40, sid="other", status=0))]
    reader = OneBatch(batch)
    intake = Intake(
        reader=reader,
        ledger=ledger,
        timings=Timings(),
        clock=FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )

    with capture_logs() as logs:
        await intake.step()

    assert await ledger.load("other") is not None
    assert reader.entries == []
    assert [e["event"] for e in logs if e["log_level"] == "error"] == ["recording.fold_failed"]


def numbered(number: int, event_type: int = 43, *, service: int = 1, **details: Any) -> bytes:
    payload = {"sequence": number, "serviceType": service}
    return body(event_type, number=number, payload=payload, **details)


def counts(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"agora_sidecar_{name}", labels) or 0.0


@integration
async def test_a_missing_number_is_a_hint_and_heals_when_it_comes_late(redis: Redis) -> None:
    registry = CollectorRegistry()
    intake = intake_over(redis, registry=registry)
    await RedisLedger(redis, KEYS, keep=1000).save(Change(session()), due=None, now=NOW)
    for number in (1, 2, 4):
        await put(redis, numbered(number, state=0))
    await drain(intake)

    found = await known(redis)
    assert found is not None
    assert (found.hint, found.hint_at, found.lanes[0].missing) == ("gap", NOW + 10, (3,))
    assert counts(registry, "recording_hints_total", kind="gap") == 1

    await put(redis, numbered(3, state=0))
    await drain(intake)
    healed = await known(redis)
    assert healed is not None
    assert (healed.hint_at, healed.lanes[0].missing) == (None, ())
    assert counts(registry, "recording_gaps_total", what="missing") == 1
    assert counts(registry, "recording_gaps_total", what="late") == 1


@integration
async def test_when_no_stream_arrives_any_more_it_is_idle_until_one_does(redis: Redis) -> None:
    intake = intake_over(redis)
    for number, (kind, state) in enumerate([(43, 0), (44, 0), (43, 1), (44, 1)]):
        await put(redis, numbered(number, kind, streamUid="7", state=state))
    await drain(intake)
    found = await known(redis)
    assert found is not None
    assert (found.idle_since, found.streams) == (NOW, ())

    await put(redis, numbered(9, 44, streamUid="8", state=0))
    await drain(intake)
    found = await known(redis)
    assert found is not None
    assert (found.idle_since, found.streams) == (None, ("video:8",))


@integration
@pytest.mark.parametrize(("sent", "contradicted"), [(NOW - 5, False), (NOW + 100, True)])
async def test_work_after_the_end_contradicts_it_unless_it_is_only_late(
    redis: Redis, sent: float, *, contradicted: bool
) -> None:
    over = session(
        state=State.CLOSED, closed_at=NOW, closed_reason="not_found", findings=("closed",)
    )
    await RedisLedger(redis, KEYS, keep=1000).save(Change(over), due=None, now=NOW)
    registry = CollectorRegistry()
    await put(redis, body(43, payload={"sendts": int(sent * 1000)}, state=0))

    with capture_logs() as logs:
        await drain(intake_over(redis, registry=registry))

    found = await known(redis)
    assert found is not None
    assert (found.afterwards == "contradicted") is contradicted
    assert counts(registry, "recording_findings_contradicted_total") == contradicted
    assert ("recording.finding_contradicted" in {e["event"] for e in logs}) is contradicted


@integration
async def test_a_second_fail_over_is_counted_and_the_same_told_twice_is_not(redis: Redis) -> None:
    for number, uid in enumerate((1111, 1111, 2222)):
        await put(redis, numbered(number, 12, service=0, newUid=uid))
    await drain(intake_over(redis))

    found = await known(redis)
    assert found is not None
    assert (found.fail_overs, found.recorder_uid, found.failing_over) == (2, "2222", True)
