"""The loop beyond the plain end: uploads, refusals, gaps, waves, breakers, claims; what is told once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agora_sidecar.agora.errors import CredentialsError, RefusedError, RetryLaterError
from scheduler.recordings.breaker import HOUR, Breaker
from scheduler.recordings.decide import Stops
from scheduler.recordings.gaps import EXPLAINED, counted
from scheduler.recordings.kept import Kept
from scheduler.recordings.ledger import Change, fold
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.reconcile import CLAIM, Reconciler, Shared
from scheduler.recordings.session import Evidence, Reading, Session, State
from scheduler.recordings.stop_audit import StopAudit
from scheduler.recordings.stopping import Stopper
from scheduler.recordings.timings import Timings
from tests.fakes.agora_client import FakeAgoraClient, no_worker
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import FakeLease, MemoryLedger
from tests.fakes.memory_store import MemoryStore
from tests.scheduler.recordings.evidence_samples import NOW, SID, event, session

TIMINGS = Timings(jitter=0.0)
DAY = 86_400.0


class World:
    """A reconciler with everything it may have, the vendor, a clock; and what became of it."""

    def __init__(
        self, folder: Path, *, policy: bool = True, limit: int = 600, ours: str = "app"
    ) -> None:
        self.clock = FakeClock(NOW)
        self.vendor = FakeAgoraClient()
        self.ledger = MemoryLedger(MemoryStore(now=self.clock.now))
        self.audit = folder / "stops.jsonl"
        self.kept = Kept(folder / "kept", ledger=self.ledger, keep=1e9, clock=self.clock)
        self.registry = CollectorRegistry()
        metrics = RecordingMetrics(self.registry)
        alone = Shared.alone(timings=TIMINGS, clock=self.clock, metrics=metrics)
        stopper = Stopper(
            clock=self.clock,
            metrics=metrics,
            rules=Stops(policy, frozenset({ours})),
            breaker=Breaker(limit),
            audit=StopAudit(self.audit),
        )
        self.lease = FakeLease(self.ledger)
        self.reconciler = Reconciler(
            ledger=self.ledger,
            client=self.vendor,
            lease=self.lease,
            timings=TIMINGS,
            clock=self.clock,
            metrics=metrics,
            shared=replace(alone, stopper=stopper, kept=self.kept),
        )

    async def track(self, known: Session) -> None:
        await self.ledger.save(Change(known), due=self.clock.now(), now=self.clock.now())

    async def change(self, what: Any, sid: str = SID) -> None:
        """What intake or the registry does meanwhile."""

        def news(known: Session | None) -> Change | None:
            return Change(what(known)) if known else None

        await fold(self.ledger, sid, news, now=self.clock.now(), timings=TIMINGS)

    async def tell(self, told: Evidence, sid: str = SID) -> None:
        await self.change(lambda known: observe(known, told), sid)

    async def live(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while True:
            pause = await self.reconciler.run_once()
            if self.clock.now() >= end and pause:
                return
            due = await self.ledger.next_due()
            step = max(pause or 0.0, (due or end) - self.clock.now())
            self.clock.advance(min(step, end - self.clock.now()))

    def told(self, sid: str = SID) -> list[str]:
        return [kind for kind, _ in self.ledger.findings(sid)]

    def said(self, kind: str, sid: str = SID) -> dict[str, Any]:
        [found] = [data for told, data in self.ledger.findings(sid) if told == kind]
        return found

    async def known(self, sid: str = SID) -> Session:
        found = await self.ledger.load(sid)
        assert found is not None
        return found

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"agora_sidecar_{name}", labels) or 0.0

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def recording(sid: str = SID, **known: Any) -> Session:
    facts: dict[str, Any] = {"state": State.RECORDING, "alive_at": NOW, "heard_at": NOW}
    return session(sid=sid, **(facts | known))


async def test_an_upload_that_goes_on_is_followed_told_once_as_overdue_and_closed_when_gone(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 8, files=("a.m3u8",))
    await world.track(recording())
    await world.tell(event(Reading.EXITED, NOW + 1))

    await world.live(DAY)
    asked = len(world.vendor.asked)
    await world.live(2 * DAY - 100)

    assert 10 < asked < 60
    assert world.told() == ["upload_overdue"]
    assert world.said("upload_overdue")["fileList"] == [{"fileName": "a.m3u8"}]
    assert world.said("upload_overdue")["expectedFiles"] == [f"{SID}_room.m3u8"]

    world.vendor.will_answer(SID, no_worker("query"))
    await world.live(DAY)
    assert world.told() == ["upload_overdue", "closed"]
    assert world.said("closed")["reason"] == "uploaded"


async def test_one_that_leaves_for_a_day_is_overdue_and_closed_by_a_404_that_lasts(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 7)
    await world.track(recording())
    await world.tell(event(Reading.LEAVING, NOW + 1))

    await world.live(DAY + 10)
    world.vendor.will_answer(SID, no_worker("query"))
    await world.live(2 * 3600)

    assert world.told() == ["upload_overdue", "closed"]
    assert world.said("closed")["reason"] == "not_found"


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("stop", host="h", status=400, code=2, reason="no"),
        CredentialsError("stop", host="h", status=401),
    ],
)
async def test_a_stop_that_the_vendor_refuses_is_told_once_and_tried_again(
    world: World, error: RefusedError
) -> None:
    world.vendor.will_answer(SID, 5)
    world.vendor.will_stop(SID, error)
    await world.track(recording(stop_wanted="requested", stop_wanted_at=NOW))

    await world.live(1200)

    assert world.told() == ["stop_refused"]
    assert str(error) in world.said("stop_refused")["why"]
    assert len(world.vendor.stopped) > 3

    world.vendor.will_stop(SID, "uploaded")
    await world.live(600)
    assert world.told() == ["stop_refused", "closed"]


async def test_an_owed_stop_that_cannot_be_called_is_told(world: World) -> None:
    await world.track(recording(resource_id="", stop_wanted="requested", stop_wanted_at=NOW))

    await world.live(600)

    assert world.told() == ["stop_refused", "unaskable"]
    assert world.said("stop_refused")["why"] == "no resource id is known"
    assert world.vendor.stopped == []


async def test_a_recording_of_another_app_id_is_never_stopped(tmp_path: Path) -> None:
    world = World(tmp_path, ours="another")
    world.vendor.will_answer(SID, 5)
    await world.track(recording(stop_wanted="requested", stop_wanted_at=NOW))

    await world.live(3600)

    assert world.vendor.stopped == []
    assert world.said("stop_refused")["why"] == "it belongs to another app id"


async def test_every_stop_is_audited_before_and_after_with_its_reason(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    world.vendor.will_stop(SID, RetryLaterError("stop", reason="ReadTimeout"))
    await world.track(recording(max_duration=10.0))

    await world.live(15)

    facts = [(one["sid"], one["reason"], one["called"], one["result"]) for one in world.audited()]
    assert facts == [
        (SID, "max_duration", True, "calling"),
        (SID, "max_duration", True, "unknown"),
    ]
    assert world.count("recording_stops_total", reason="max_duration", result="unknown") == 1


async def test_with_the_policy_off_what_would_be_stopped_is_shown_once(tmp_path: Path) -> None:
    world = World(tmp_path, policy=False)
    world.vendor.will_answer(SID, 5)
    await world.track(recording(stop_wanted="requested", stop_wanted_at=NOW))

    await world.live(3600)

    assert [(one["called"], one["result"]) for one in world.audited()] == [
        (False, "withheld: stop_policy is off")
    ]
    assert "stop withheld: stop_policy is off" in [n.what for n in (await world.known()).timeline]
    assert world.count("recording_stops_total", reason="requested", result="withheld") == 1
    assert world.told() == []


async def test_the_breaker_holds_stops_back_and_lets_them_go_later(tmp_path: Path) -> None:
    world = World(tmp_path, limit=2)
    for number in range(4):
        world.vendor.will_answer(f"s{number}", 5)
        world.vendor.will_stop(f"s{number}", "uploaded")
        await world.track(recording(f"s{number}", stop_wanted="requested", stop_wanted_at=NOW))

    with capture_logs() as logs:
        await world.live(600)
        assert len(world.vendor.stopped) == 2
        assert world.count("recordings_stops_left") == 0
        await world.live(HOUR)

    assert sorted(world.vendor.stopped) == ["s0", "s1", "s2", "s3"]
    breaker = [entry["open"] for entry in logs if entry["event"] == "recording.stop_breaker"]
    assert breaker[:2] == [True, False]
    assert [one["result"] for one in world.audited()].count(
        "withheld: more than 2 stops in an hour"
    )


async def test_a_gap_is_asked_about_soon_and_forgotten_when_it_meant_nothing(world: World) -> None:
    world.vendor.will_answer(SID, 5)
    await world.track(recording())
    for number in (1, 4):
        await world.change(
            lambda known, number=number: counted(
                known, uid="7", service=1, number=number, at=NOW, patience=10.0
            )[0]
        )

    await world.live(11)

    assert world.vendor.asked == [SID]
    assert world.count("recording_queries_total", reason="gap", result="running") == 1
    assert (await world.known()).lanes[0].harmless == 1


async def test_gaps_that_the_subscription_explains_are_hardly_asked_about(world: World) -> None:
    sids = [f"s{number}" for number in range(EXPLAINED + 7)]
    for sid in sids:
        world.vendor.will_answer(sid, 5)
        await world.track(recording(sid))
        for number in (1, 4):
            await world.change(
                lambda known, number=number: counted(
                    known, uid="7", service=1, number=number, at=world.clock.now(), patience=10.0
                )[0],
                sid,
            )
        await world.live(11)

    asked = {sid for sid in world.vendor.asked}  # noqa: C416 - a set of what a list holds twice
    assert world.count("recording_queries_total", reason="gap", result="running") == EXPLAINED
    assert world.count("recording_hints_total", kind="gap_damped") == 7
    assert len(asked) < len(sids)


async def test_recordings_of_a_wave_stay_doubted_when_the_wave_itself_is_over(world: World) -> None:
    """The questions become rarer than the wave's window; that is no reason to believe."""
    sids = [f"sid{number}" for number in range(6)]
    for sid in sids:
        await world.track(recording(sid))

    await world.live(120 + 800)
    assert world.ledger.told == []
    assert (await world.known("sid0")).doubted
    for sid in sids:
        world.vendor.will_answer(sid, 5)
    await world.live(300)

    assert world.ledger.told == []
    assert not (await world.known("sid0")).doubted


async def test_while_another_leaders_call_may_be_under_way_it_is_not_asked_again(
    world: World,
) -> None:
    world.vendor.will_answer(SID, 5)
    await world.track(recording(hint_at=NOW))
    world.ledger.leader_for_test = "before us:1"
    await world.ledger.claim(SID, token="before us:1", length=CLAIM)
    world.ledger.leader_for_test = world.lease.token

    await world.reconciler.run_once()
    assert world.vendor.asked == []
    await world.live(CLAIM + 5)

    assert world.vendor.asked == [SID]


async def test_with_all_callbacks_lost_every_registered_recording_is_closed_within_the_bound(
    world: World,
) -> None:
    ends = {f"s{number}": NOW + 37.0 * number for number in range(40)}
    for sid in ends:
        world.vendor.will_answer(sid, 5)
        await world.track(session(sid=sid))
    worst = 0.0
    left = dict(ends)
    while left:
        await world.live(5)
        for sid, end in ends.items():
            if sid in left and world.clock.now() >= end:
                world.vendor.will_answer(sid, no_worker("query"))
            if sid in left and world.told(sid)[-1:] == ["closed"]:
                worst = max(worst, world.clock.now() - left.pop(sid))
        assert world.clock.now() < NOW + 37.0 * 40 + 2000

    assert worst <= world.reconciler.pace.bound(TIMINGS)
    assert all(world.told(sid).count("closed") == 1 for sid in ends)
    assert world.vendor.stopped == []
    assert len(world.kept) == 0
    assert world.count("recording_time_to_finding_seconds_count") == 40


async def test_late_questions_show_in_the_interval_and_the_bound(world: World) -> None:
    for number in range(100):
        world.vendor.will_answer(f"s{number}", 5)
        await world.track(recording(f"s{number}", hint_at=NOW - 50))
        await world.ledger.postpone(f"s{number}", NOW - 50)

    await world.reconciler.run_once()

    assert world.reconciler.pace.lag == 50
    assert world.reconciler.pace.interval(TIMINGS) >= TIMINGS.silence + 50
