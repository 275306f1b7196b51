"""What a 404 is worth beside what the vendor says of others; nobody is asked more than needed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agora_sidecar.store import StoreError
from scheduler.recordings.corroboration import MOST, Corroboration
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.session import Evidence, Reading, Session, State
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.integration.processes import until
from tests.scheduler.recordings.evidence_samples import NOW, answer, session

TIMINGS = Timings()
MISSING = answer(Reading.NOT_FOUND, NOW)
ME = session(state=State.RECORDING)


class Shard:
    """A shard's recordings and what the vendor says of each; `asked` in order."""

    def __init__(self, *others: Session, **answers: Reading | None) -> None:
        self.asked: list[str] = []
        self._others = others
        self._answers = answers

    async def others(self, *, by: float) -> Sequence[Session]:
        assert by > 0
        return self._others

    async def question(self, other: Session) -> Reading | None:
        self.asked.append(other.sid)
        await asyncio.sleep(0)
        return self._answers[other.sid]


def other(sid: str, **known: Any) -> Session:
    return session(**({"sid": sid, "state": State.RECORDING} | known))


def corroboration(*shards: Shard, clock: FakeClock | None = None) -> Corroboration:
    found = Corroboration(
        timings=TIMINGS,
        clock=clock or FakeClock(NOW),
        metrics=RecordingMetrics(CollectorRegistry()),
    )
    found.shards.extend(shards)
    return found


async def verdict(of: Corroboration, me: Session = ME) -> str:
    told = await of.judge(me, MISSING)
    return "doubted" if told.doubted else "unsure" if told.unsure else "believed"


async def test_only_a_404_is_judged() -> None:
    shard = Shard(other("a"), a=Reading.NOT_FOUND)
    found = answer(Reading.RUNNING, NOW)

    assert await corroboration(shard).judge(ME, found) is found
    assert shard.asked == []


async def test_one_that_is_alone_is_believed() -> None:
    assert await verdict(corroboration(Shard(ME))) == "believed"


async def test_it_is_believed_where_another_is_found_just_then_and_nobody_is_asked() -> None:
    clock, shard = FakeClock(NOW), Shard(other("a"), a=Reading.NOT_FOUND)
    of = corroboration(shard, clock=clock)
    of.note(other("b"), answer(Reading.RUNNING, NOW), asked=clock.monotonic() - 20)
    clock.advance(TIMINGS.same_time)

    assert await verdict(of) == "believed"
    assert shard.asked == []

    clock.advance(1)
    assert await verdict(of) == "doubted"


@pytest.mark.parametrize(
    "told",
    [
        (ME, answer(Reading.RUNNING, NOW)),
        (other("b", app_id="another"), answer(Reading.RUNNING, NOW)),
        (other("b"), answer(Reading.UNKNOWN, NOW)),
        (other("b"), answer(Reading.REFUSED, NOW)),
        (other("b"), MISSING),
    ],
    ids=["itself", "another app id", "no answer", "refused", "a 404"],
)
async def test_what_says_nothing_about_others_is_no_help(told: tuple[Session, Evidence]) -> None:
    of = corroboration(Shard(other("a"), a=Reading.NOT_FOUND))
    of.note(*told, asked=0.0)

    assert await verdict(of) == "doubted"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Reading.RUNNING], "believed"),
        ([Reading.NOT_YET], "believed"),
        ([Reading.LEAVING], "believed"),
        ([Reading.NOT_FOUND], "doubted"),
        ([Reading.NOT_FOUND, Reading.RUNNING], "believed"),
        ([Reading.NOT_FOUND, Reading.UNKNOWN], "doubted"),
        ([Reading.UNKNOWN, Reading.NOT_FOUND], "doubted"),
        ([Reading.UNKNOWN], "unsure"),
        ([Reading.REFUSED], "unsure"),
        ([None], "unsure"),
        ([Reading.UNKNOWN, Reading.RUNNING], "believed"),
    ],
)
async def test_others_are_asked_until_one_is_found(
    answers: list[Reading | None], expected: str
) -> None:
    named = {f"s{number}": told for number, told in enumerate(answers)}
    shard = Shard(*(other(sid) for sid in named), **named)

    assert await verdict(corroboration(shard)) == expected


async def test_no_more_than_a_few_are_asked() -> None:
    named: dict[str, Reading | None] = {f"s{number}": Reading.NOT_FOUND for number in range(9)}
    shard = Shard(*(other(sid) for sid in named), **named)

    assert await verdict(corroboration(shard)) == "doubted"
    assert shard.asked == ["s0", "s1", "s2"]
    assert len(shard.asked) == MOST


@pytest.mark.parametrize(
    "known",
    [
        {"app_id": "another"},
        {"state": State.ENDING, "left_at": NOW},
        {"state": State.UPLOADING, "ended_at": NOW},
        {"state": State.CLOSED},
        {"stop_wanted": "requested"},
        {"max_duration": 10.0, "started_at": NOW - 20},
        {"missing_since": NOW - 5, "missing_at": NOW - 5},
        {"resource_id": ""},
    ],
    ids=lambda known: next(iter(known)),
)
async def test_who_may_well_be_over_is_no_witness(known: dict[str, Any]) -> None:
    shard = Shard(other("a", **known), a=Reading.NOT_FOUND)

    assert await verdict(corroboration(shard)) == "believed"
    assert shard.asked == []


async def test_a_404_of_just_now_need_not_be_asked_about_again() -> None:
    lately = other("a", unfound_since=NOW - 9, unfound_at=NOW - 9, doubted=True)
    earlier = other("b", unfound_since=NOW - 30, unfound_at=NOW - 11, doubted=True)
    shard = Shard(lately, earlier, b=Reading.NOT_FOUND)

    assert await verdict(corroboration(shard)) == "doubted"
    assert shard.asked == ["b"]


async def test_those_are_asked_first_that_were_seen_and_are_no_404() -> None:
    shard = Shard(
        other("gone", unfound_since=NOW - 50, unfound_at=NOW - 50),
        other("new", state=State.STARTING),
        other("seen"),
        gone=Reading.NOT_FOUND,
        new=Reading.NOT_FOUND,
        seen=Reading.NOT_FOUND,
    )

    await verdict(corroboration(shard))

    assert shard.asked == ["seen", "new", "gone"]


async def test_what_is_being_asked_about_is_not_asked_twice() -> None:
    shard = Shard(other("a"), a=Reading.NOT_FOUND)
    of = corroboration(shard)
    of.busy.add("a")

    assert await verdict(of) == "unsure"
    assert shard.asked == []

    of.busy.clear()
    first, second = await asyncio.gather(verdict(of), verdict(of, other("c")))
    assert (first, second) == ("doubted", "doubted")
    assert of.busy == set()


async def test_all_shards_are_witnesses() -> None:
    mine, theirs = Shard(ME), Shard(other("far"), far=Reading.NOT_FOUND)

    assert await verdict(corroboration(mine, theirs)) == "doubted"
    assert theirs.asked == ["far"]


async def test_a_shard_whose_part_of_the_store_is_away_keeps_no_other_from_its_work() -> None:
    class Away(Shard):
        async def others(self, *, by: float) -> Sequence[Session]:
            raise StoreError("unreachable", "made so by a test")

    assert await verdict(corroboration(Away(), Shard(other("a"), a=Reading.RUNNING))) == "believed"
    assert await verdict(corroboration(Away(), Shard(other("a"), a=Reading.NOT_FOUND))) == "doubted"
    assert await verdict(corroboration(Away(), Shard(ME))) == "unsure"


async def test_trouble_goes_on_until_something_is_found_even_where_nobody_is_left_to_ask() -> None:
    clock, shard = FakeClock(NOW), Shard(other("a"), a=Reading.NOT_FOUND)
    of = corroboration(shard, clock=clock)
    assert await verdict(of) == "doubted"
    of.shards[:] = [Shard(ME)]
    clock.advance(300)

    with capture_logs() as logs:
        assert of.in_trouble()
        assert await verdict(of) == "unsure"
        of.note(other("b"), answer(Reading.RUNNING, NOW + 300), asked=clock.monotonic())
        assert not of.in_trouble()
    clock.advance(TIMINGS.same_time + 1)

    assert await verdict(of) == "believed"
    assert [(entry["event"], entry["on"]) for entry in logs] == [
        ("recording.not_found_wave", True),
        ("recording.not_found_wave", False),
    ]


async def test_after_an_end_that_is_certain_a_404_is_no_wonder() -> None:
    shard = Shard(other("a"), a=Reading.UNKNOWN)
    ended = session(state=State.UPLOADING, ended_at=NOW - 1200)

    assert await verdict(corroboration(shard)) == "unsure"
    assert await verdict(corroboration(shard), ended) == "believed"


async def test_it_does_not_go_on_for_ever() -> None:
    clock = FakeClock(NOW)
    of = corroboration(Shard(other("a"), a=Reading.NOT_FOUND), clock=clock)
    await verdict(of)
    of.shards[:] = [Shard(ME)]
    clock.advance(TIMINGS.wave_patience + 1)

    assert not of.in_trouble()
    assert await verdict(of) == "believed"


ALMOST = {"unfound_since": NOW - TIMINGS.end_after_404, "unfound_at": NOW - 30}
ALMOST |= {"missing_since": ALMOST["unfound_since"], "missing_at": ALMOST["unfound_at"]}
"""Of a recording that the next 404 ends, if it is believed."""


@pytest.mark.parametrize(
    ("says", "expected"), [(Reading.NOT_FOUND, "doubted"), (Reading.RUNNING, "believed")]
)
async def test_what_would_end_a_recording_is_held_against_what_is_asked_after_it(
    says: Reading, expected: str
) -> None:
    """Trouble that has just begun: others were found a moment ago."""
    clock, shard = FakeClock(NOW), Shard(other("a"), a=says)
    of = corroboration(shard, clock=clock)
    of.note(other("b"), answer(Reading.RUNNING, NOW), asked=clock.monotonic())
    clock.advance(0.1)

    assert await verdict(of) == "believed"
    assert shard.asked == []
    assert await verdict(of, session(state=State.RECORDING, **ALMOST)) == expected
    assert shard.asked == ["a"]


async def test_one_answer_serves_all_that_ended_before_it_was_asked_for() -> None:
    """And none that was on its way before: the vendor may have given it before its trouble."""
    clock, asking = FakeClock(NOW), asyncio.Event()

    class Slow(Shard):
        async def question(self, other: Session) -> Reading | None:
            asking.set()
            await clock.sleep(1)
            found = await super().question(other)
            of.note(other, answer(Reading.RUNNING, clock.now()), asked=clock.monotonic() - 1)
            return found

    shard = Slow(other("a"), a=Reading.RUNNING)
    of = corroboration(shard, clock=clock)
    one, two, late = (session(sid=sid, **ALMOST) for sid in ("one", "two", "late"))
    verdicts = [asyncio.create_task(verdict(of, ended)) for ended in (one, two)]
    await asyncio.sleep(0)
    clock.advance(0.1)
    await asking.wait()
    clock.advance(0.5)
    verdicts.append(asyncio.create_task(verdict(of, late)))
    await asyncio.sleep(0)  # its 404 is there before the answer
    clock.advance(0.5)
    await until(lambda: len(clock.slept) == 2)
    clock.advance(1)

    assert await asyncio.gather(*verdicts) == ["believed"] * 3
    assert shard.asked == ["a", "a"]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_jump_of_the_clock_makes_nothing_of_just_now(seconds: float) -> None:
    clock = FakeClock(NOW)
    before = other("a", unfound_since=NOW - 60, unfound_at=NOW - 60)
    shard = Shard(before, a=Reading.RUNNING)
    of = corroboration(shard, clock=clock)
    of.note(other("b"), answer(Reading.RUNNING, NOW), asked=clock.monotonic())
    clock.advance(60)
    clock.jump_for_test(seconds)

    assert await verdict(of) == "believed"
    assert shard.asked == ["a"]


def test_the_evidence_is_otherwise_the_same() -> None:
    told = asyncio.run(corroboration(Shard(other("a"), a=None)).judge(ME, MISSING))

    assert replace(told, unsure=False) == MISSING
