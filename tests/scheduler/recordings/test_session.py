from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.recordings.decide import Close, decide
from scheduler.recordings.observe import observe
from scheduler.recordings.session import (
    TRANSITIONS,
    Evidence,
    Reading,
    Source,
    State,
    TransitionError,
    close,
    transition,
)
from scheduler.recordings.timeline import FIRST, LATEST
from scheduler.recordings.timings import Timings
from tests.scheduler.recordings.evidence_samples import (
    NOW,
    answer,
    event,
    session,
    stop_answer,
)

TERMINAL = {Reading.UPLOADED, Reading.BACKUPED, Reading.NO_DATA}
BACK_TO_RECORDING = {Reading.RUNNING}
ORDER = list(State)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reading", Reading)
def test_every_pair_is_declared_or_raises_and_changes_nothing(
    state: State, reading: Reading
) -> None:
    before = session(state=state)

    if (state, reading) == (State.CLOSED, Reading.GIVEN_UP):
        with pytest.raises(TransitionError) as caught:
            close(before, "not_found", told_by=Source.QUERY, at=NOW)
        assert (caught.value.state, caught.value.reading) == (state, reading)
        assert before == session(state=state)
    else:
        assert transition(state, reading) in State


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reading", Reading)
def test_only_an_answer_of_query_moves_a_recording_back(state: State, reading: Reading) -> None:
    target = TRANSITIONS[reading][ORDER.index(state)]

    if target is not None and reading not in BACK_TO_RECORDING:
        assert ORDER.index(target) >= ORDER.index(state)


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_only_the_end_of_the_upload_no_data_or_our_decision_closes(state: State) -> None:
    closing = {r for r in Reading if transition(state, r) is State.CLOSED}

    assert closing == {*TERMINAL, Reading.GIVEN_UP}


def test_a_closed_recording_stays_closed_whatever_is_told() -> None:
    closed = close(session(), "not_found", told_by=Source.QUERY, at=NOW)

    for reading in set(Reading) - {Reading.GIVEN_UP}:
        assert observe(closed, event(reading)).state is State.CLOSED


def test_the_vendors_end_after_ours_confirms_it_and_a_running_answer_contradicts_it() -> None:
    closed = close(session(), "not_found", told_by=Source.QUERY, at=NOW)

    assert observe(closed, event(Reading.UPLOADED)).afterwards == "confirmed"
    assert observe(closed, answer(Reading.RUNNING)).afterwards == "contradicted"
    assert observe(closed, event(Reading.ALIVE)).afterwards == ""


def test_a_404_from_an_untrusted_host_counts_only_once_a_second_host_says_it_too() -> None:
    once = observe(session(), answer(Reading.NOT_FOUND, host="a", trusted=False))
    twice = observe(once, answer(Reading.NOT_FOUND, NOW + 5, host="a", trusted=False))
    other = observe(twice, answer(Reading.NOT_FOUND, NOW + 10, host="b", trusted=False))

    assert once.missing_since is None
    assert twice.missing_since is None
    assert other.missing_since == NOW + 10


@pytest.mark.parametrize(
    "between",
    [
        answer(Reading.RUNNING, NOW + 50),
        answer(Reading.NOT_YET, NOW + 50),
        event(Reading.ALIVE, NOW + 50),
        event(Reading.NOTED, NOW + 50),
    ],
)
def test_any_sign_of_life_between_two_404s_begins_the_patience_anew(between: Evidence) -> None:
    missing = observe(session(), answer(Reading.NOT_FOUND, NOW))
    again = observe(observe(missing, between), answer(Reading.NOT_FOUND, NOW + 90))

    assert again.missing_since == NOW + 90


@pytest.mark.parametrize("reading", [Reading.UNKNOWN])
def test_no_answer_between_two_404s_changes_nothing(reading: Reading) -> None:
    missing = observe(session(), answer(Reading.NOT_FOUND, NOW))
    again = observe(
        observe(missing, answer(reading, NOW + 50)), answer(Reading.NOT_FOUND, NOW + 90)
    )

    assert again.missing_since == NOW
    assert again.missing_at == NOW + 90


def test_a_404_that_is_doubted_makes_void_what_was_believed_before() -> None:
    missing = observe(session(), answer(Reading.NOT_FOUND, NOW))
    doubted = observe(missing, replace(answer(Reading.NOT_FOUND, NOW + 50), doubted=True))
    anew = observe(doubted, answer(Reading.NOT_FOUND, NOW + 90))

    assert (doubted.missing_since, doubted.unfound_since, doubted.doubted) == (None, NOW, True)
    assert (anew.missing_since, anew.missing_at) == (NOW + 90, NOW + 90)
    assert observe(anew, event(Reading.ALIVE, NOW + 95)).unfound is False


def test_one_that_is_unsure_neither_begins_nor_prolongs_it() -> None:
    unsure = observe(session(), replace(answer(Reading.NOT_FOUND, NOW), unsure=True))
    missing = observe(unsure, answer(Reading.NOT_FOUND, NOW + 5))
    again = observe(missing, replace(answer(Reading.NOT_FOUND, NOW + 90), unsure=True))

    assert unsure.missing_since is None
    assert (again.missing_since, again.missing_at) == (NOW + 5, NOW + 5)
    assert (again.unfound_since, again.unfound_at) == (NOW, NOW + 90)


def test_an_event_from_before_the_404_does_not_end_the_patience() -> None:
    missing = observe(session(), answer(Reading.NOT_FOUND, NOW))

    assert observe(missing, event(Reading.ALIVE, NOW - 60)).missing_since == NOW


def test_a_404_of_before_an_event_is_outdated() -> None:
    heard = observe(session(), event(Reading.ALIVE, NOW + 20))

    assert not observe(heard, answer(Reading.NOT_FOUND, NOW)).unfound
    assert observe(heard, answer(Reading.NOT_FOUND, NOW + 20)).unfound


def test_an_answer_that_it_records_takes_back_an_end_that_was_told() -> None:
    ended = observe(session(), event(Reading.EXITED))
    running = observe(ended, answer(Reading.RUNNING, NOW + 1))

    assert ended.ended_at == NOW
    assert (running.state, running.ended_at) == (State.RECORDING, None)


def test_an_abnormal_end_stays_abnormal_when_its_files_are_told() -> None:
    ended = observe(session(), event(Reading.ABNORMAL))
    closed = observe(ended, event(Reading.UPLOADED, NOW + 3))

    assert (closed.closed_reason, closed.upload) == ("abnormal", "uploaded")


def test_a_failed_over_recording_has_a_new_recorder_until_it_is_seen_working() -> None:
    failing = observe(session(), event(Reading.FAILED_OVER, uid="77"))

    assert (failing.failing_over, failing.recorder_uid) == (True, "77")
    assert not observe(failing, event(Reading.STARTED, NOW + 60)).failing_over


def test_stop_without_data_closes_at_once() -> None:
    closed = observe(session(), stop_answer(Reading.NO_DATA))

    assert (closed.closed_reason, closed.closed_by) == ("no_data", Source.STOP)


def test_the_timeline_joins_the_everyday_and_keeps_the_beginning_and_the_present() -> None:
    known = observe(session(), event(Reading.STARTED, text="40"))
    for second in range(FIRST + LATEST + 4):
        known = observe(known, answer(Reading.UNKNOWN, NOW + second))
        known = observe(known, event(Reading.ALIVE, NOW + second, text=f"43, {second}"))
        known = observe(known, event(Reading.PROGRESS, NOW + second, text=f"33, {second}"))
        known = observe(known, event(Reading.PROGRESS, NOW + second + 1, text=f"33, {second}"))

    assert len(known.timeline) == FIRST + LATEST
    assert known.timeline[0].what == "40"
    last = known.timeline[-1]
    assert (last.at, last.count, last.until) == (NOW + FIRST + LATEST + 3, 2, last.at + 1)


_QUERY = [r for r in Reading if r not in {Reading.GIVEN_UP, Reading.FATAL, Reading.STARTED}]
_TOLD = st.one_of(
    st.sampled_from([r for r in Reading if r is not Reading.GIVEN_UP]).map(lambda r: event(r, 0.0)),
    st.sampled_from(_QUERY).map(lambda r: answer(r, 0.0)),
    st.sampled_from([Reading.NOT_FOUND, Reading.RUNNING, Reading.UNKNOWN]).map(
        lambda r: answer(r, 0.0)
    ),
    st.sampled_from(["doubted", "unsure"]).map(
        lambda what: replace(answer(Reading.NOT_FOUND, 0.0), **{what: True})
    ),
    st.sampled_from([Reading.LEAVING, Reading.UNKNOWN, Reading.NOT_FOUND]).map(
        lambda r: stop_answer(r, 0.0)
    ),
)
_ENDS_BY_EVENT = {Reading.EXITED, Reading.ABNORMAL, *TERMINAL}
_LIFE = {Reading.RUNNING, Reading.ALIVE, Reading.STARTED, Reading.PROGRESS}


@given(st.lists(st.tuples(_TOLD, st.floats(0.0, 60.0)), max_size=60))
def test_in_any_order_there_is_at_most_one_closed_and_none_after_a_sign_of_life(
    story: list[tuple[Evidence, float]],
) -> None:
    timings = Timings()
    known, now, closed = session(), NOW, 0
    last = known, None
    end_told = False
    for told, pause in story:
        now += pause
        known = observe(known, replace(told, at=now))
        if told.reading is Reading.RUNNING:
            end_told = False
        end_told |= told.reading in _ENDS_BY_EVENT
        last = known, told.reading
        action = decide(known, now=now, timings=timings)
        if isinstance(action, Close):
            closed += 1
            assert end_told or last[1] not in _LIFE
            if known.state is not State.CLOSED:
                known = close(known, action.reason, told_by=action.told_by, at=now)
            known = replace(known, findings=("closed",))

    assert closed <= 1
