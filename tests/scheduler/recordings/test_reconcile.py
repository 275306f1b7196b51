"""The loop against a fake Agora: what it asks, when it believes, and what it tells once."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agora_sidecar.agora.errors import (
    LeavingError,
    NoDataError,
    RefusedError,
    RetryLaterError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import QueryReply
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.store import Redis, StoreError
from scheduler.leadership import Lease
from scheduler.recordings.ledger import Change, ConflictError, Ledger, fold
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.reconcile import Leadership, Reconciler
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.session import Evidence, Reading, Session, State
from scheduler.recordings.timings import Timings
from tests.fakes.agora_client import FakeAgoraClient, no_worker
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import FakeLease, MemoryLedger
from tests.scheduler.recordings.evidence_samples import NOW, SID, event, session

TIMINGS = Timings(jitter=0.0)


class World:
    """A reconciler, the vendor, a clock; and what became of it."""

    def __init__(self, *, stops: bool = True) -> None:
        self.clock = FakeClock(NOW)
        self.vendor = FakeAgoraClient()
        self.ledger = MemoryLedger()
        self.lease = FakeLease(self.ledger)
        self.registry = CollectorRegistry()
        self.reconciler = reconciler(
            self.ledger,
            self.vendor,
            lease=self.lease,
            clock=self.clock,
            registry=self.registry,
            stops=stops,
        )

    async def track(self, known: Session) -> None:
        await self.ledger.save(Change(known), due=self.clock.now(), now=self.clock.now())

    async def tell(self, told: Evidence, sid: str = SID) -> None:
        """What intake does with an event."""

        def news(known: Session | None) -> Change | None:
            return Change(observe(known, told)) if known else None

        await fold(self.ledger, sid, news, now=self.clock.now(), timings=TIMINGS)

    async def live(self, seconds: float) -> None:
        """Let so much time pass, with a round whenever one is wanted."""
        end = self.clock.now() + seconds
        while True:
            pause = await self.reconciler.run_once()
            if self.clock.now() >= end and pause:
                return
            self.clock.advance(min(pause or 0.0, end - self.clock.now()))

    def closed(self, sid: str = SID) -> list[dict[str, Any]]:
        return [data for kind, data in self.ledger.findings(sid) if kind == "closed"]

    async def known(self, sid: str = SID) -> Session:
        found = await self.ledger.load(sid)
        assert found is not None
        return found

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"agora_sidecar_{name}", labels) or 0.0


def reconciler(
    ledger: Ledger,
    vendor: FakeAgoraClient,
    *,
    lease: Leadership,
    clock: FakeClock,
    registry: CollectorRegistry | None = None,
    stops: bool = True,
) -> Reconciler:
    return Reconciler(
        ledger=ledger,
        client=vendor,
        lease=lease,
        timings=TIMINGS,
        clock=clock,
        metrics=RecordingMetrics(registry or CollectorRegistry()),
        stops=stops,
    )


@pytest.fixture
def world() -> World:
    return World()


def recording(sid: str = SID, **known: Any) -> Session:
    """One that was seen recording, and is silent since `NOW`."""
    return session(sid=sid, state=State.RECORDING, alive_at=NOW, heard_at=NOW, **known)


async def test_a_recording_whose_last_events_were_lost_is_found_out_by_query_and_closed_once(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 5, files=("p/a.m3u8",))
    await world.track(recording())
    await world.live(130)
    world.vendor.will_answer(SID, no_worker("query"))

    await world.live(1000)

    [told] = world.closed()
    assert (told["reason"], told["toldBy"], told["sid"]) == ("not_found", "query", SID)
    assert [file["fileName"] for file in told["fileList"]] == ["p/a.m3u8"]
    missing = [note for note in told["evidence"] if note["reading"] == "not_found"]
    assert {note["host"] for note in missing} == {"api.example"}
    assert "code 404" in missing[0]["text"]
    assert world.count("recording_findings_total", kind="closed") == 1
    assert world.vendor.stopped == []


async def test_it_is_not_closed_before_the_404_lasted(world: World) -> None:
    await world.track(recording())

    await world.live(120 + 99)
    assert world.closed() == []
    assert (await world.known()).missing_since == NOW + 120

    await world.live(2)
    assert len(world.closed()) == 1


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_404_has_not_lasted_because_the_clock_jumped(world: World, seconds: float) -> None:
    await world.track(recording())
    await world.live(122)  # silence, and the first 404
    assert (await world.known()).missing_since is not None

    world.clock.jump_for_test(seconds)
    await fold(world.ledger, SID, lambda s: s and Change(s), now=world.clock.now(), timings=TIMINGS)
    await world.live(60)
    assert world.closed() == []
    await world.live(3700)

    assert [end["reason"] for end in world.closed()] == ["not_found"]


async def test_a_404_that_is_not_the_vendors_closes_nothing_and_alarms(world: World) -> None:
    error = UnexpectedAnswerError(
        "query", host="api.example", status=404, reason="no Route matched"
    )
    world.vendor.will_answer(SID, error)
    await world.track(recording())

    with capture_logs() as logs:
        await world.live(3600)

    assert world.ledger.told == []
    assert (await world.known()).state is State.RECORDING
    assert "recording.odd_answer" in {entry["event"] for entry in logs}


async def test_a_404_from_a_host_that_never_answered_closes_nothing(world: World) -> None:
    world.vendor.hosts_that_answered.clear()
    await world.track(recording())

    await world.live(3600)

    assert world.ledger.told == []


async def test_a_404_from_two_hosts_that_never_answered_is_believed(world: World) -> None:
    world.vendor.hosts_that_answered.clear()
    await world.track(recording())
    await world.live(121)
    world.vendor.will_answer(SID, no_worker("query", host="other.example"))

    await world.live(300)

    assert len(world.closed()) == 1


async def test_what_a_host_says_that_never_answered_is_asked_of_another_at_once(
    world: World,
) -> None:
    world.vendor.hosts_that_answered.clear()
    world.vendor.hosts = ["one.example", "two.example"]
    await world.track(recording())

    await world.live(121)
    assert world.vendor.asked == [SID, SID]
    assert (await world.known()).missing_since == NOW + 120

    await world.live(100)
    [told] = world.closed()
    hosts = {note["host"] for note in told["evidence"] if note["reading"] == "not_found"}
    assert hosts == {"two.example"}


async def test_a_known_hosts_404_needs_no_other_host(world: World) -> None:
    world.vendor.hosts = ["api.example", "two.example"]
    await world.track(recording())

    await world.live(121)

    assert world.vendor.asked == [SID]


async def test_a_404_is_not_believed_while_others_that_send_events_are_404s_too(
    world: World,
) -> None:
    """Two, in the trouble of a vendor that lasts longer than any fail-over."""
    await world.track(recording("other"))
    await world.track(recording())

    for _ in range(8):
        await world.live(50)
        await world.tell(event(Reading.ALIVE, world.clock.now()), "other")

    assert world.ledger.told == []
    assert (await world.known()).doubted
    assert world.count("recordings_not_found_wave") == 1

    for sid in (SID, "other"):
        world.vendor.will_answer(sid, 5)
    await world.live(200)

    assert world.ledger.told == []
    assert not (await world.known()).unfound


async def test_it_is_believed_where_another_is_found_which_is_asked_for_that(
    world: World,
) -> None:
    world.vendor.will_answer("other", 5)
    await world.track(recording("other", hint_at=NOW + 400))
    await world.track(recording())

    for _ in range(5):
        await world.live(48)
        await world.tell(event(Reading.ALIVE, world.clock.now()), "other")

    assert len(world.closed()) == 1
    assert world.closed("other") == []
    asked = world.count("recording_queries_total", reason="control", result="running")
    assert 0 < asked <= world.vendor.asked.count(SID)


async def test_nobody_is_asked_about_twice_at_once_as_a_witness_and_for_itself(
    world: World,
) -> None:
    """Both are due at once: each is the other's only witness."""
    asking: list[str] = []
    twice: list[str] = []

    class Watched(FakeAgoraClient):
        async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
            twice.extend(sid for sid in asking if sid == recording.sid)
            asking.append(recording.sid)
            for _ in range(20):
                await asyncio.sleep(0)
            asking.remove(recording.sid)
            return await super().query(recording, avoid=avoid)

    class Slow(MemoryLedger):
        slow = True

        async def claim(self, sid: str, *, token: str, length: float) -> bool:
            waits, self.slow = (30 if sid == "late" and self.slow else 1), sid != "late"
            for _ in range(waits):
                await asyncio.sleep(0)
            return await super().claim(sid, token=token, length=length)

    ledger, vendor = Slow(), Watched()
    loop = reconciler(ledger, vendor, lease=FakeLease(ledger), clock=world.clock)
    for sid in ("early", "late"):
        await ledger.save(Change(recording(sid, hint_at=NOW)), due=NOW, now=NOW)

    await loop.run_once()

    assert sorted(set(vendor.asked)) == ["early", "late"]
    assert twice == []


async def test_a_404_during_a_fail_over_closes_nothing(world: World) -> None:
    await world.track(recording())
    await world.live(120 + 90)
    world.vendor.will_answer(SID, 5)

    await world.live(3600)

    assert world.ledger.told == []
    assert (await world.known()).state is State.RECORDING


async def test_an_event_during_the_404_closes_nothing(world: World) -> None:
    await world.track(recording())
    await world.live(120 + 95)
    await world.tell(event(Reading.ALIVE, world.clock.now()))
    world.vendor.will_answer(SID, 5)

    await world.live(3600)

    assert world.ledger.told == []


async def test_a_recording_that_sends_events_is_not_asked(world: World) -> None:
    await world.track(recording())
    for _ in range(60):
        await world.live(60)
        await world.tell(event(Reading.PROGRESS, world.clock.now()))

    assert world.vendor.asked == []


async def test_a_new_recording_is_confirmed_and_without_events_that_is_told_once(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 2)
    await world.track(session())
    await world.live(10)
    assert world.ledger.told == []
    world.vendor.will_answer(SID, 4)

    await world.live(1000)

    [(kind, told)] = world.ledger.findings(SID)
    assert (kind, told["toldBy"]) == ("started", "query")
    assert told["evidence"][-1]["text"] == "status 4"


async def test_a_recording_of_which_events_came_is_not_told_as_started(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    await world.track(recording())

    await world.live(500)

    assert world.vendor.asked != []
    assert world.ledger.told == []


async def test_a_recording_that_never_started_is_closed_as_such(world: World) -> None:
    await world.track(session())

    await world.live(200)

    [told] = world.closed()
    assert told["reason"] == "never_started"


@pytest.mark.parametrize(
    ("reading", "reason"), [(Reading.UPLOADED, "uploaded"), (Reading.BACKUPED, "backuped")]
)
async def test_an_end_told_by_an_event_is_told_at_once_and_once(
    world: World, reading: Reading, reason: str
) -> None:
    await world.track(recording())
    await world.tell(event(reading))
    await world.tell(event(reading))
    await world.tell(event(Reading.EXITED))

    await world.live(0)
    await world.live(5000)

    [told] = world.closed()
    assert (told["reason"], told["toldBy"], told["upload"]) == (reason, "event", reason)
    assert world.vendor.asked == []


async def test_after_the_exit_it_waits_for_the_files_and_tells_them(world: World) -> None:
    await world.track(recording())
    await world.tell(event(Reading.EXITED))
    await world.live(600)
    assert world.closed() == []

    await world.tell(event(Reading.UPLOADED, world.clock.now()))
    await world.live(1)

    assert [told["reason"] for told in world.closed()] == ["uploaded"]


async def test_after_the_exit_without_word_of_the_files_it_is_closed_with_what_is_known(
    world: World,
) -> None:
    await world.track(recording())
    await world.tell(event(Reading.ABNORMAL))

    await world.live(1199)
    assert world.closed() == []
    await world.live(2)

    assert [(t["reason"], t["toldBy"], t["upload"]) for t in world.closed()] == [
        ("abnormal", "event", None)
    ]


async def test_a_fatal_error_makes_it_ask_at_once(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    await world.track(recording())
    await world.live(10)
    await world.tell(event(Reading.FATAL, world.clock.now()))

    await world.live(0)

    assert world.vendor.asked == [SID]


async def test_an_owed_stop_is_called_until_the_recording_is_over(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    await world.track(recording(stop_wanted="requested"))

    with capture_logs() as logs:
        await world.live(60)
    calls = [entry for entry in logs if entry["event"] == "recording.stop_called"]
    assert [call["tries"] for call in calls] == [1, 2, 3]
    assert {call["reason"] for call in calls} == {"requested"}
    world.vendor.will_answer(SID, no_worker("query"))
    await world.live(1000)

    assert [told["reason"] for told in world.closed()] == ["not_found"]
    assert world.closed()[0]["stopWanted"] == "requested"


async def test_an_accepted_stop_is_not_called_again_while_the_recording_obeys(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 6)
    await world.track(recording(stop_wanted="requested"))

    await world.live(300)

    assert world.vendor.stopped == [SID]
    assert (await world.known()).state is State.ENDING


async def test_a_stop_that_finds_no_worker_is_not_repeated_but_asked_about(world: World) -> None:
    world.vendor.will_stop(SID, no_worker("stop"))
    await world.track(recording(stop_wanted="requested"))

    await world.live(99)
    assert world.closed() == []
    await world.live(30)

    assert world.vendor.stopped == [SID]
    assert len(world.closed()) == 1


async def test_a_stop_without_data_is_the_end(world: World) -> None:
    world.vendor.will_stop(SID, NoDataError("stop", host="api.example", status=206, code=435))
    await world.track(recording(stop_wanted="requested"))

    await world.live(1)

    assert [(t["reason"], t["toldBy"]) for t in world.closed()] == [("no_data", "stop")]


async def test_a_stop_of_one_that_is_leaving_is_asked_about(world: World) -> None:
    world.vendor.will_stop(SID, LeavingError("stop", host="api.example", status=400, code=49))
    world.vendor.will_answer(SID, 7)
    await world.track(recording(stop_wanted="requested"))

    await world.live(6)

    assert (world.vendor.stopped, world.vendor.asked) == ([SID], [SID])
    assert (await world.known()).state is State.ENDING


@pytest.mark.parametrize(
    "error",
    [RetryLaterError("stop", status=504, code=62), RefusedError("stop", status=400, code=2)],
)
async def test_a_stop_that_failed_is_called_again_later_and_later(
    world: World, error: RetryLaterError
) -> None:
    world.vendor.will_stop(SID, error)
    world.vendor.will_answer(SID, 5)
    await world.track(recording(stop_wanted="requested"))

    await world.live(99)

    assert len(world.vendor.stopped) == 3  # at 0, 10 and 40 s
    assert world.closed() == []


async def test_the_declared_maximum_is_kept_and_nothing_else_is_stopped(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    world.vendor.will_answer("unlimited", 5)
    await world.track(recording(max_duration=300.0))
    await world.track(recording("unlimited"))

    await world.live(299)
    assert world.vendor.stopped == []
    await world.live(5)

    assert world.vendor.stopped == [SID]


async def test_a_policy_without_stops_never_calls_stop() -> None:
    world = World(stops=False)
    world.vendor.will_answer(SID, 5)
    await world.track(recording(stop_wanted="requested", max_duration=10.0))

    with capture_logs() as logs:
        await world.live(3600)

    assert world.vendor.stopped == []
    assert world.vendor.asked != []
    assert {e["reason"] for e in logs if e["event"] == "recording.stop_withheld"} == {"requested"}


async def test_an_unaskable_recording_is_told_once_never_asked_and_closed_by_its_events(
    world: World,
) -> None:
    await world.track(recording(resource_id=""))
    await world.live(3600)
    assert world.vendor.asked == []
    assert [kind for kind, _ in world.ledger.findings(SID)] == ["unaskable"]

    await world.tell(event(Reading.UPLOADED, world.clock.now()))
    await world.live(1)

    assert len(world.closed()) == 1


async def test_when_many_turn_404_at_once_none_is_believed_for_long(world: World) -> None:
    sids = [f"sid{number}" for number in range(6)]
    for sid in sids:
        await world.track(recording(sid))

    with capture_logs() as logs:
        await world.live(120 + 150)
    assert world.ledger.told == []
    assert "recording.not_found_wave" in {entry["event"] for entry in logs}

    await world.live(900)
    assert {sid for sid, _ in world.ledger.told} == set(sids)
    assert len(world.ledger.told) == 6


async def test_those_that_start_while_nothing_is_found_do_not_hide_the_wave(world: World) -> None:
    for number in range(5):
        await world.track(recording(f"sid{number}"))
    late = {"started_at": NOW + 100, "created_at": NOW + 100}
    for number in range(10):
        await world.track(session(sid=f"new{number}", **late))

    await world.live(120 + 150)

    assert world.ledger.told == []


async def test_a_wave_that_a_leader_before_us_noticed_goes_on(world: World) -> None:
    doubted = {"missing_since": NOW - 50, "missing_at": NOW - 20, "doubted": True}
    for number in range(6):
        await world.track(recording(f"before{number}", **doubted, asked_at=NOW - 20, attempts=4))
    await world.track(recording(hint_at=NOW + 15, hint="gap"))

    await world.live(200)
    assert world.closed() == []
    assert (await world.known()).doubted

    await world.live(900)
    assert len(world.closed()) == 1


async def test_one_recordings_failure_does_not_stop_the_others(world: World) -> None:
    await world.track(session(sid="broken"))
    world.ledger.unreadable_for_test.add("broken")
    await world.track(recording())

    await world.live(300)

    assert len(world.closed()) == 1


async def test_a_mistake_of_ours_about_one_recording_is_counted_and_looked_at_later(
    world: World,
) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    world.vendor.before_reply = fail
    await world.track(recording(hint_at=NOW))

    with capture_logs() as logs:
        await world.reconciler.run_once()

    assert world.count("recording_check_failures_total") == 1
    assert [entry["event"] for entry in logs] == ["recording.check_failed"]
    assert await world.ledger.next_due() == NOW + TIMINGS.ask_again[-1]


async def test_a_store_that_is_away_is_waited_for_and_said_once(world: World) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            world.ledger.fail_next = StoreError("unreachable", "away")
            assert await world.reconciler.run_once() == TIMINGS.poll
        await world.reconciler.run_once()

    assert [entry["event"] for entry in logs] == [
        "recording.reconciler_interrupted",
        "recording.reconciler_resumed",
    ]


async def test_who_does_not_lead_does_nothing(world: World) -> None:
    world.lease.lose()
    await world.track(recording(hint_at=NOW))

    assert await world.reconciler.run_once() == world.lease.length / 3

    assert world.vendor.asked == []


async def test_who_lost_the_lease_while_asking_saves_nothing(world: World) -> None:
    world.vendor.before_reply = world.lease.lose
    await world.track(recording(hint_at=NOW))
    before = await world.known()

    await world.reconciler.run_once()

    assert await world.known() == before


async def test_a_recording_forgotten_while_it_was_asked_stays_forgotten(world: World) -> None:
    class Forgetful(MemoryLedger):
        async def load(self, sid: str) -> Session | None:
            found = await super().load(sid)
            await self.forget(sid)
            return found

    ledger = Forgetful()
    await ledger.save(Change(recording(hint_at=NOW)), due=NOW, now=NOW)
    loop = reconciler(ledger, world.vendor, lease=FakeLease(ledger), clock=world.clock)

    await loop.run_once()

    assert world.vendor.asked == [SID]
    assert await ledger.all(limit=9) == []
    assert await ledger.next_due() is None


async def test_an_event_that_arrives_while_it_is_asked_is_not_lost(world: World) -> None:
    known = recording(hint_at=NOW, missing_since=NOW - 200, missing_at=NOW - 101)

    class Interrupted(MemoryLedger):
        """Somebody saves an event between the load and the save."""

        async def load(self, sid: str) -> Session | None:
            found = await super().load(sid)
            if found and found.version == 1:
                told = observe(found, event(Reading.ALIVE, NOW))
                await self.save(Change(told), due=NOW + 120, now=NOW)
            return found

    ledger = Interrupted()
    await ledger.save(Change(known), due=NOW, now=NOW)
    loop = reconciler(ledger, world.vendor, lease=FakeLease(ledger), clock=world.clock)

    await loop.run_once()
    await loop.run_once()

    found = await ledger.load(SID)
    assert found is not None
    assert (found.missing_since, found.state) == (NOW, State.RECORDING)
    assert ledger.told == []


async def test_an_event_that_arrives_just_before_the_closing_prevents_it(world: World) -> None:
    known = recording(missing_since=NOW - 100, missing_at=NOW, asked_at=NOW)

    class Interrupted(MemoryLedger):
        """Somebody saves an event between the decision and the save."""

        async def load(self, sid: str) -> Session | None:
            found = await super().load(sid)
            if found and found.version == 1:
                told = observe(found, event(Reading.ALIVE, NOW))
                await self.save(Change(told), due=NOW + 120, now=NOW)
            return found

    ledger = Interrupted()
    await ledger.save(Change(known), due=NOW, now=NOW)
    loop = reconciler(ledger, world.vendor, lease=FakeLease(ledger), clock=world.clock)

    await loop.run_once()

    assert ledger.told == []
    assert await ledger.next_due() == NOW + 120


async def test_a_check_that_others_keep_changing_is_put_off(world: World) -> None:
    class Busy(MemoryLedger):
        async def save(self, change: Change, **known: Any) -> Session:
            if change.session.version:
                raise ConflictError("busy")
            return await super().save(change, **known)

    ledger = Busy()
    await ledger.save(Change(recording(hint_at=NOW)), due=NOW, now=NOW)
    loop = reconciler(ledger, world.vendor, lease=FakeLease(ledger), clock=world.clock)

    with capture_logs() as logs:
        await loop.run_once()

    assert [entry["event"] for entry in logs] == ["recording.check_deferred"]
    assert await ledger.next_due() == NOW + TIMINGS.ask_again[-1]


async def test_it_wants_to_be_called_again_when_the_next_one_is_due(world: World) -> None:
    await world.track(session())

    assert await world.reconciler.run_once() == TIMINGS.poll
    world.clock.advance(4.5)
    assert await world.reconciler.run_once() == 0.5


integration = pytest.mark.integration


@pytest.fixture
def keys() -> Keys:
    return Keys("test")


def over_redis(
    redis: Redis, keys: Keys, *, clock: FakeClock, vendor: FakeAgoraClient
) -> tuple[Reconciler, RedisLedger, Lease]:
    ledger = RedisLedger(redis, keys, keep=1000)
    lease = Lease(redis, keys, LEASE, length=60, clock=clock)
    return reconciler(ledger, vendor, lease=lease, clock=clock), ledger, lease


async def ids(redis: Redis, keys: Keys) -> list[bytes]:
    return [fields[b"id"] for _, fields in await redis.xrange(keys.events)]


@integration
async def test_a_lost_end_becomes_exactly_one_closed_entry_on_the_stream(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    loop, ledger, _ = over_redis(redis, keys, clock=clock, vendor=FakeAgoraClient())
    await ledger.save(Change(recording()), due=NOW, now=NOW)

    for _ in range(400):
        await loop.run_once()
        clock.advance(1)

    assert await ids(redis, keys) == [f"sidecar:{SID}:closed:1".encode()]
    assert await redis.zcard(keys.due) == 0
    assert await redis.ttl(keys.recording(SID)) > 0


@integration
async def test_a_crash_between_the_answer_and_the_save_still_gives_one_finding(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    class Answering(FakeAgoraClient):
        async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
            answering.set()
            await asyncio.Event().wait()
            raise AssertionError

    answering = asyncio.Event()
    loop, ledger, lease = over_redis(redis, keys, clock=clock, vendor=Answering())
    gone = recording(missing_since=NOW - 100, missing_at=NOW - 50, asked_at=NOW - 50, attempts=4)
    await ledger.save(Change(gone), due=NOW, now=NOW)
    crashing = asyncio.create_task(loop.run_once())
    await asyncio.wait_for(answering.wait(), 5)
    crashing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crashing
    await lease.release()
    await redis.delete(keys.claim(SID))  # its time runs out by the store's own clock

    restarted, _, _ = over_redis(redis, keys, clock=clock, vendor=FakeAgoraClient())
    for _ in range(200):
        await restarted.run_once()
        clock.advance(1)

    assert await ids(redis, keys) == [f"sidecar:{SID}:closed:1".encode()]


@integration
async def test_two_schedulers_tell_one_finding_and_ask_once_at_a_time(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    vendors = FakeAgoraClient(), FakeAgoraClient()
    one, ledger, lease = over_redis(redis, keys, clock=clock, vendor=vendors[0])
    two, _, _ = over_redis(redis, keys, clock=clock, vendor=vendors[1])
    await ledger.save(Change(recording()), due=NOW, now=NOW)

    for second in range(400):
        await one.run_once()
        await two.run_once()
        if second == 150:
            assert vendors[1].asked == []
            await lease.release()
            await two.run_once()
        clock.advance(1)

    assert vendors[0].asked
    assert vendors[1].asked
    assert await ids(redis, keys) == [f"sidecar:{SID}:closed:1".encode()]


@integration
async def test_a_leader_that_was_paused_over_its_lease_tells_nothing_twice(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    paused, ledger, lease = over_redis(redis, keys, clock=clock, vendor=FakeAgoraClient())
    await paused.run_once()
    await ledger.save(Change(observe(recording(), event(Reading.UPLOADED))), due=NOW, now=NOW)
    await redis.delete(keys.lease(LEASE))
    other, _, _ = over_redis(redis, keys, clock=clock, vendor=FakeAgoraClient())

    await other.run_once()
    await paused.run_once()

    assert lease.fence is None
    assert await ids(redis, keys) == [f"sidecar:{SID}:closed:1".encode()]


@integration
async def test_a_store_that_came_back_empty_gets_the_open_recordings_back(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    loop, ledger, _ = over_redis(redis, keys, clock=clock, vendor=FakeAgoraClient())
    await loop.run_once()
    await ledger.save(Change(recording()), due=NOW + 120, now=NOW)
    await redis.flushall()

    with capture_logs() as logs:
        await loop.run_once()

    assert [e["recordings"] for e in logs if e["event"] == "recording.ledger_restored"] == [1]
    assert await RedisLedger(redis, keys, keep=9).load(SID) is not None
    assert await redis.zscore(keys.due, SID) == NOW + 120


@integration
async def test_who_takes_long_to_get_to_know_the_ledger_goes_on_leading(
    redis: Redis, keys: Keys, clock: FakeClock
) -> None:
    class Large(RedisLedger):
        async def adopt(self, *, now: float) -> None:
            await asyncio.sleep(1.0)
            await super().adopt(now=now)

    ledger, vendor = Large(redis, keys, keep=1000), FakeAgoraClient()
    lease = Lease(redis, keys, LEASE, length=0.3, clock=SystemClock())
    await ledger.save(Change(recording()), due=NOW, now=NOW)
    loop = reconciler(ledger, vendor, lease=lease, clock=FakeClock(NOW + 130))

    await loop.run_once()

    assert vendor.asked
    assert lease.fence == 1
