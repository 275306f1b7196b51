from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.recordings.decide import Action, Ask, Close, Stop, Stops, Tell, Wait, decide, due
from scheduler.recordings.observe import observe
from scheduler.recordings.session import Reading, Source, State, close
from scheduler.recordings.timings import Timings, step
from tests.scheduler.recordings.evidence_samples import NOW, answer, event, session

TIMINGS = Timings(jitter=0.0)
STARTING: dict[str, Any] = {}
RECORDING: dict[str, Any] = {"state": State.RECORDING, "alive_at": NOW, "heard_at": NOW}
MISSING: dict[str, Any] = RECORDING | {
    "missing_since": NOW,
    "missing_at": NOW,
    "asked_at": NOW,
    "attempts": 1,
}
ENDED: dict[str, Any] = {
    "state": State.UPLOADING,
    "alive_at": NOW,
    "ended_at": NOW,
    "ended_by": Source.EVENT,
}
UPLOADS: dict[str, Any] = ENDED | {"left_at": NOW}
LEFT: dict[str, Any] = RECORDING | {"state": State.ENDING, "left_at": NOW}
UNASKABLE: dict[str, Any] = {"resource_id": "", "findings": ("unaskable",)}
WANTED: dict[str, Any] = {"stop_wanted": "requested", "stop_wanted_at": NOW}


@pytest.mark.parametrize(
    ("sentence", "known", "after", "expected"),
    [
        ("a new one is left alone at first", STARTING, 0, Wait(NOW + 5)),
        ("then confirmed", STARTING, 5, Ask("confirm")),
        (
            "and asked again 10 s after the second answer",
            {"asked_at": NOW + 10, "attempts": 2},
            12,
            Wait(NOW + 20),
        ),
        (
            "never later than 15 s while it is starting",
            {"asked_at": NOW, "attempts": 9},
            1,
            Wait(NOW + 15),
        ),
        ("one that sends events is not asked", RECORDING, 119, Wait(NOW + 120)),
        ("a silent one is asked", RECORDING, 120, Ask("silence")),
        (
            "one that may have died is asked at once",
            RECORDING | {"hint_at": NOW + 3, "hint": "error"},
            3,
            Ask("error"),
        ),
        (
            "one that answered is silent from the answer on",
            RECORDING | {"asked_at": NOW + 120},
            121,
            Wait(NOW + 240),
        ),
        (
            "after an unusable answer the intervals grow",
            RECORDING | {"asked_at": NOW, "attempts": 4},
            1,
            Wait(NOW + 30),
        ),
        ("a 404 is asked about again", MISSING, 1, Wait(NOW + 5)),
        (
            "a 404 that lasted almost long enough is asked when it did",
            MISSING | {"missing_at": NOW + 60, "asked_at": NOW + 60, "attempts": 5},
            61,
            Wait(NOW + 100),
        ),
        (
            "a 404 that lasted means the end",
            MISSING | {"missing_at": NOW + 100, "asked_at": NOW + 100},
            100,
            Close("not_found", Source.QUERY),
        ),
        (
            "of one that was never alive: it never started",
            {"missing_since": NOW, "missing_at": NOW + 100, "asked_at": NOW + 100, "attempts": 9},
            100,
            Close("never_started", Source.QUERY),
        ),
        (
            "time alone does not make a 404 last: only a later answer does",
            MISSING,
            1000,
            Ask("not_found"),
        ),
        (
            "a 404 that failed to be confirmed at the end is asked again later, not at once",
            MISSING | {"missing_at": NOW + 60, "asked_at": NOW + 100, "attempts": 6},
            100,
            Wait(NOW + 220),
        ),
        ("after the end it waits for the files", ENDED, 1199, Wait(NOW + 1200)),
        ("then asks whether the upload goes on", ENDED, 1200, Ask("files")),
        (
            "which is over when nobody knows of it",
            ENDED | {"asked_at": NOW + 1201, "attempts": 1, "missing_hosts": ("h",)},
            1201,
            Close("uploaded", Source.EVENT),
        ),
        (
            "an answer that says nothing is asked for again",
            ENDED | {"asked_at": NOW + 1201, "attempts": 1},
            1202,
            Wait(NOW + 1501.25),
        ),
        (
            "but not for ever",
            ENDED | {"asked_at": NOW + 2399, "attempts": 9},
            2400,
            Close("uploaded", Source.EVENT),
        ),
        (
            "who cannot be asked is not waited for longer",
            ENDED | {"resource_id": ""},
            1200,
            Close("uploaded", Source.EVENT),
        ),
        (
            "an upload that goes on is asked about at growing intervals",
            UPLOADS | {"asked_at": NOW + 4000, "uploading_at": NOW + 4000, "attempts": 3},
            4001,
            Wait(NOW + 5000),
        ),
        (
            "at most an hour apart",
            UPLOADS | {"asked_at": NOW + 40_000, "uploading_at": NOW + 40_000, "attempts": 3},
            43_600,
            Ask("files"),
        ),
        (
            "one that nobody knows of any more is over, whatever was said of it after the end",
            UPLOADS
            | {"asked_at": NOW + 1201, "uploading_at": NOW + 5, "attempts": 1}
            | {"missing_since": NOW + 1201, "missing_at": NOW + 1201, "missing_hosts": ("h",)},
            1201,
            Close("uploaded", Source.EVENT),
        ),
        (
            "but not while nobody knows of anything",
            UPLOADS
            | {"asked_at": NOW + 1201, "uploading_at": NOW + 5, "attempts": 1, "doubted": True}
            | {"unfound_since": NOW + 1201, "unfound_at": NOW + 1201, "missing_hosts": ("h",)},
            1201,
            Wait(NOW + 1501.25),
        ),
        (
            "for as long as a 404 is not believed at all",
            UPLOADS
            | {"asked_at": NOW + 1875, "uploading_at": NOW + 5, "attempts": 3, "doubted": True}
            | {"unfound_since": NOW + 1201, "unfound_at": NOW + 1875, "missing_hosts": ("h",)},
            1875,
            Wait(NOW + 2101),
        ),
        (
            "and after a day it is overdue",
            UPLOADS | {"asked_at": NOW + 86_000, "uploading_at": NOW + 86_000, "attempts": 9},
            86_400,
            Tell("upload_overdue", "the vendor reports that the upload goes on"),
        ),
        (
            "which is told once",
            UPLOADS
            | {"asked_at": NOW + 86_000, "uploading_at": NOW + 86_000, "attempts": 9}
            | {"findings": ("upload_overdue",)},
            86_400,
            Wait(NOW + 89_600),
        ),
        (
            "an abnormal end is told as such",
            ENDED | {"abnormal": True, "resource_id": ""},
            1200,
            Close("abnormal", Source.EVENT),
        ),
        ("after the end no stop is called", ENDED | WANTED, 10, Wait(NOW + 1200)),
        (
            "a 404 after the end tells nothing new",
            ENDED | {"missing_since": NOW, "missing_at": NOW + 200},
            200,
            Wait(NOW + 1200),
        ),
        ("an owed stop is called", RECORDING | WANTED, 0, Stop("requested")),
        ("also before it was seen recording", WANTED, 0, Stop("requested")),
        (
            "an owed stop waits between tries",
            RECORDING | WANTED | {"stop_called_at": NOW, "stop_tries": 2},
            1,
            Wait(NOW + 30),
        ),
        (
            "and is called again",
            RECORDING | WANTED | {"stop_called_at": NOW, "stop_tries": 2},
            30,
            Stop("requested"),
        ),
        (
            "never while it is leaving",
            RECORDING | WANTED | {"state": State.ENDING},
            1,
            Wait(NOW + 120),
        ),
        ("never on top of a 404", MISSING | WANTED, 1, Wait(NOW + 5)),
        ("nothing is stopped that nobody limited", RECORDING, 119, Wait(NOW + 120)),
        ("its limit is waited for", RECORDING | {"max_duration": 60.0}, 1, Wait(NOW + 60)),
        ("and kept", RECORDING | {"max_duration": 60.0}, 60, Stop("max_duration")),
        (
            "without a resource id nothing can be asked, which is told",
            RECORDING | {"resource_id": ""},
            999,
            Tell("unaskable", "no resource id is known"),
        ),
        (
            "once",
            RECORDING | {"resource_id": "", "findings": ("unaskable",)},
            999,
            Wait(None),
        ),
        (
            "and while its events come nobody need know",
            RECORDING | {"resource_id": "", "heard_at": NOW + 950},
            999,
            Wait(NOW + 1070),
        ),
        (
            "one that left, and of which nobody can be asked, is over when no more comes",
            LEFT | {"resource_id": "", "findings": ("unaskable",)},
            1199,
            Wait(NOW + 1200),
        ),
        (
            "told by the event that it left",
            LEFT | {"resource_id": "", "findings": ("unaskable",)},
            1200,
            Close("unconfirmed", Source.EVENT),
        ),
        (
            "one that cannot last longer is over by the clock",
            RECORDING | UNASKABLE | {"max_recording_hour": 1.0},
            4800,
            Close("unconfirmed", Source.CLOCK),
        ),
        (
            "one that may have reached its longest life is asked about",
            RECORDING | {"max_recording_hour": 1.0, "asked_at": NOW + 3600, "heard_at": NOW + 3600},
            3605,
            Ask("max_recording_hour"),
        ),
        (
            "one to which nobody sends is asked about when it should have left",
            RECORDING | {"idle_since": NOW, "max_idle_time": 20.0},
            25,
            Ask("idle"),
        ),
        (
            "once",
            RECORDING | {"idle_since": NOW, "max_idle_time": 20.0, "asked_at": NOW + 25},
            26,
            Wait(NOW + 145),
        ),
        (
            "before nobody can be asked any more there is one last question",
            RECORDING
            | {"resource_expired_hour": 1.0, "asked_at": NOW + 3350, "heard_at": NOW + 3350},
            3400,
            Ask("last_chance"),
        ),
        (
            "nor when its resource has expired",
            RECORDING | {"resource_expired_hour": 1.0},
            3600,
            Tell("unaskable", "resourceExpiredHour is over"),
        ),
        (
            "a closed one is told",
            {"state": State.CLOSED, "closed_reason": "uploaded", "closed_by": Source.EVENT},
            0,
            Close("uploaded", Source.EVENT),
        ),
        (
            "once",
            {
                "state": State.CLOSED,
                "closed_reason": "uploaded",
                "closed_by": Source.EVENT,
                "findings": ("closed",),
            },
            0,
            Wait(None),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_done(sentence: str, known: dict[str, Any], after: float, expected: Action) -> None:
    assert decide(session(**known), now=NOW + after, timings=TIMINGS) == expected


def test_a_policy_without_stops_asks_instead() -> None:
    wanted = session(**RECORDING, **WANTED)

    assert decide(wanted, now=NOW, timings=TIMINGS, stops=Stops(policy=False)) == Wait(NOW + 120)


def test_a_404_that_is_not_believed_must_last_longer() -> None:
    known = RECORDING | {"unfound_since": NOW, "doubted": True, "attempts": 6}
    missing = session(**(known | {"unfound_at": NOW + 880, "asked_at": NOW + 880}))
    longer = session(**(known | {"unfound_at": NOW + 900, "asked_at": NOW + 900}))

    # asked when the patience ends, not an interval later
    assert decide(missing, now=NOW + 880, timings=TIMINGS) == Wait(NOW + 900)
    assert decide(longer, now=NOW + 900, timings=TIMINGS) == Close("not_found", Source.QUERY)


def test_a_404_that_could_not_be_compared_is_asked_about_again_soon() -> None:
    known = RECORDING | {"unfound_since": NOW, "missing_since": NOW, "missing_at": NOW + 60}
    unsure = session(**known, unfound_at=NOW + 100, asked_at=NOW + 100, attempts=6)

    assert decide(unsure, now=NOW + 100, timings=TIMINGS) == Wait(NOW + 105)


def test_no_stop_is_called_on_top_of_a_404_that_is_not_believed() -> None:
    doubted = session(
        **RECORDING, **WANTED, unfound_since=NOW, unfound_at=NOW, asked_at=NOW, attempts=1
    )

    assert decide(doubted, now=NOW + 1, timings=TIMINGS) == Wait(NOW + 5)


def test_it_is_due_when_there_is_something_to_do() -> None:
    assert due(session(), now=NOW + 5, timings=TIMINGS) == NOW + 5
    assert due(session(), now=NOW, timings=TIMINGS) == NOW + 5
    assert due(session(resource_id=""), now=NOW, timings=TIMINGS) == NOW + 120
    unaskable = session(resource_id="", findings=("unaskable",))
    assert due(unaskable, now=NOW, timings=TIMINGS) is None


def test_a_404_is_asked_about_at_5_10_15_seconds_and_until_it_lasted() -> None:
    known, now, asked = session(state=State.RECORDING, alive_at=NOW, hint_at=NOW), NOW, []
    while not isinstance(action := decide(known, now=now, timings=TIMINGS), Close):
        if isinstance(action, Ask):
            asked.append(now - NOW)
            known = observe(known, answer(Reading.NOT_FOUND, now))
        else:
            assert isinstance(action, Wait)
            assert action.until is not None
            assert action.until > now
            now = action.until

    assert asked == [0, 5, 15, 30, 60, 100]


def test_silence_differs_between_recordings_and_stays_the_same_for_each() -> None:
    timings = Timings(silence=100, jitter=0.1)
    quiet = {timings.quiet_for(f"sid{n}") for n in range(100)}

    assert len(quiet) > 50
    assert all(90 <= seconds <= 110 for seconds in quiet)
    assert timings.quiet_for("sid1") == timings.quiet_for("sid1")


def test_faster_timings_keep_their_proportions() -> None:
    fast = Timings().faster(10)

    assert (fast.silence, fast.end_after_404, fast.confirm_again) == (12.0, 10.0, (0.5, 1.0, 1.5))
    assert (fast.keep, fast.jitter) == (Timings().keep, Timings().jitter)


@pytest.mark.parametrize(("tries", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 15), (99, 15)])
def test_intervals_grow_and_then_repeat(tries: int, seconds: float) -> None:
    assert step((5, 10, 15), tries) == seconds


@given(
    st.lists(
        st.tuples(
            st.sampled_from([r for r in Reading if r is not Reading.GIVEN_UP]),
            st.sampled_from([event, answer]),
            st.floats(0, 300),
        ),
        max_size=40,
    )
)
def test_the_next_look_is_never_due_again_at_once_after_the_answer(story: list[Any]) -> None:
    known, now = session(), NOW
    for reading, told, pause in story:
        now += pause
        known = observe(known, told(reading, now))
        if isinstance(decide(known, now=now, timings=TIMINGS), Ask):
            known = observe(known, answer(Reading.UNKNOWN, now))
            assert not isinstance(decide(known, now=now, timings=TIMINGS), Ask)


def test_what_was_closed_by_decision_is_closed_by_the_clock_only_once() -> None:
    closed = close(session(), "not_found", told_by=Source.QUERY, at=NOW)

    assert decide(closed, now=NOW, timings=TIMINGS) == Close("not_found", Source.QUERY)
