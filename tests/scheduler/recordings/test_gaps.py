from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.recordings.gaps import EXPLAINED, HARMLESS, SAMPLE, Damper, counted, explained
from scheduler.recordings.observe import observe
from scheduler.recordings.sequences import LANES, MISSING, Lanes, count, gaps_open
from scheduler.recordings.session import Reading, Session
from tests.scheduler.recordings.evidence_samples import NOW, answer, session


def told(known: Session, *numbers: int, uid: str = "7", service: int = 1) -> Session:
    for number in numbers:
        known, _ = counted(known, uid=uid, service=service, number=number, at=NOW, patience=10.0)
    return known


def lanes_of(numbers: list[int]) -> Lanes:
    lanes: Lanes = ()
    for number in numbers:
        lanes = count(lanes, uid="7", service=1, number=number).lanes
    return lanes


@given(
    st.permutations(range(20)),
    st.sets(st.integers(0, 19), max_size=12),
    st.lists(st.integers(0, 19), max_size=10),
)
def test_in_any_order_with_any_repeats_exactly_the_lost_ones_are_missing(
    order: list[int], lost: set[int], repeats: list[int]
) -> None:
    arrived = [number for number in order if number not in lost]
    again = [number for number in repeats if number in arrived]

    lanes = lanes_of([*arrived, *again])

    after_the_first = {n for n in lost if arrived and arrived[0] < n < max(arrived)}
    assert set(lanes[0].missing if lanes else ()) == after_the_first


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**63 - 1)), max_size=60))
def test_nothing_grows_without_bound(story: list[tuple[int, int]]) -> None:
    lanes: Lanes = ()
    for service, number in story:
        lanes = count(lanes, uid="7", service=service, number=number).lanes

    assert len(lanes) <= LANES
    assert all(len(lane.missing) <= MISSING for lane in lanes)


def test_each_module_of_each_recorder_counts_for_itself() -> None:
    known = told(told(told(session(), 0, 1), 5, service=2), 3, uid="8")

    assert not gaps_open(known.lanes)
    assert known.hint_at is None


def test_a_gap_is_a_hint_after_a_while_and_is_in_the_timeline() -> None:
    known = told(session(), 4, 7)

    assert (known.hint, known.hint_at) == ("gap", NOW + 10)
    assert [(n.kind, n.what) for n in known.timeline] == [
        ("gap", "5 to 6 missing (uid 7, serviceType 1)")
    ]


def test_a_number_that_comes_late_heals_its_gap() -> None:
    known = told(session(), 4, 6, 5)

    assert known.hint_at is None
    assert not gaps_open(known.lanes)
    assert known.timeline[-1].what == "5 came late (uid 7, serviceType 1)"


def test_a_gap_heals_only_when_all_of_it_is_there() -> None:
    assert told(session(), 4, 7, 5).hint == "gap"


def test_an_earlier_hint_stays() -> None:
    known = told(replace(session(), hint_at=NOW, hint="error"), 4, 6, 5)

    assert (known.hint, known.hint_at) == ("error", NOW)


def test_after_harmless_gaps_a_lane_hints_no_more() -> None:
    known = told(session(), 0)
    for number in range(2, 2 + 2 * HARMLESS, 2):
        known = told(known, number)
        assert known.hint == "gap"
        known = observe(known, answer(Reading.RUNNING, NOW))
        assert known.hint == ""

    assert told(known, 50).hint == ""


def damper_after(*readings: Reading) -> Damper:
    damper = Damper()
    for reading in readings:
        damper.learn(told(session(), 0, 2), reading)
    return damper


def test_gaps_that_meant_nothing_in_other_recordings_are_damped_but_for_a_sample() -> None:
    damper = damper_after(*[Reading.RUNNING] * EXPLAINED)
    asked = [not damper.damps(told(session(sid=f"s{n}"), 0, 2)) for n in range(2 * SAMPLE)]

    assert asked.count(True) == 2


@pytest.mark.parametrize(
    "learnt",
    [
        [Reading.RUNNING] * (EXPLAINED - 1),
        [*[Reading.RUNNING] * EXPLAINED, Reading.NOT_FOUND],
        [Reading.UNKNOWN] * EXPLAINED,
    ],
    ids=["too few", "one meant something", "no answers"],
)
def test_until_it_is_explained_every_gap_is_asked_about(learnt: list[Reading]) -> None:
    assert not damper_after(*learnt).damps(told(session(), 0, 2))


def test_other_sources_and_modules_learn_for_themselves() -> None:
    damper = damper_after(*[Reading.RUNNING] * EXPLAINED)

    assert not damper.damps(told(session(source="other"), 0, 2))
    assert not damper.damps(told(session(), 0, 2, service=2))
    assert not damper.damps(session())


def test_an_explained_gap_is_noted_and_no_hint() -> None:
    known = explained(told(session(), 0, 2), at=NOW + 10)

    assert known.hint_at is None
    assert known.timeline[-1].what == "not asked about: such gaps were harmless"
