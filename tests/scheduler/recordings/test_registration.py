from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.recordings.body import RegistrationError
from scheduler.recordings.observe import observe
from scheduler.recordings.registration import (
    OtherRecordingError,
    Registration,
    join,
    read_registration,
)
from scheduler.recordings.session import Reading, Session, State
from tests.scheduler.recordings.evidence_samples import NOW, SID, event, session

BODY: dict[str, Any] = {"resourceId": "r-_=9", "mode": "mix", "cname": "room", "uid": "527841"}


def read(body: Any, *, sid: str = SID, app_ids: tuple[str, ...] = ("app",)) -> Registration:
    return read_registration(sid, body, app_ids=app_ids, now=NOW)


def problems(body: Any, **known: Any) -> dict[str, str]:
    with pytest.raises(RegistrationError) as caught:
        read(body, **known)
    for problem in caught.value.problems:
        assert problem.rule
        assert problem.cure
    return {problem.field: problem.rule for problem in caught.value.problems}


def test_the_least_that_must_be_given() -> None:
    found = read(BODY)

    assert (found.resource_id, found.mode, found.cname, found.uid) == (
        "r-_=9",
        "mix",
        "room",
        "527841",
    )
    assert (found.app_id, found.source) == ("app", "default")
    assert found.started_at is None


def test_everything_that_may_be_given() -> None:
    found = read(
        BODY
        | {
            "appId": "two",
            "source": "main",
            "startedAt": "2023-11-14T22:13:20Z",
            "maxDuration": "90m",
            "resourceExpiredHour": 24,
            "maxIdleTime": 300,
            "maxRecordingHour": 2,
            "fileNamePrefix": ["dir", "sub1"],
            "avFileType": ["hls", "mp4"],
        },
        app_ids=("one", "two"),
    )

    assert (found.app_id, found.source, found.started_at) == ("two", "main", NOW)
    assert (found.max_duration, found.resource_expired_hour, found.max_idle_time) == (5400, 24, 300)
    assert (found.max_recording_hour, found.av_file_type) == (2, ("hls", "mp4"))
    assert found.file_name_prefix == ("dir", "sub1")


def test_moments_and_durations_may_be_numbers() -> None:
    found = read(BODY | {"startedAt": NOW - 0.5, "maxDuration": 60})

    assert (found.started_at, found.max_duration) == (NOW - 0.5, 60)


def test_all_problems_are_told_at_once() -> None:
    found = problems({"mode": "composite", "uid": 5, "cname": "", "maxDurations": 4}, sid="../x")

    assert set(found) == {"sid", "resourceId", "mode", "cname", "uid", "maxDurations"}


def test_a_misspelt_field_is_refused_with_its_right_name() -> None:
    with pytest.raises(RegistrationError) as caught:
        read(BODY | {"maxDurations": 4, "x": 1})

    assert [p.cure for p in caught.value.problems] == ["did you mean maxDuration?", "leave it out"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resourceId", "a/b"),
        ("resourceId", "a?b"),
        ("resourceId", "é"),
        ("resourceId", ""),
        ("resourceId", "a" * 1025),
        ("resourceId", ["a"]),
        ("mode", "Mix"),
        ("mode", None),
        ("cname", "c" * 1025),
        ("cname", "é" * 513),
        ("uid", "0"),
        ("uid", "-1"),
        ("uid", "4294967296"),
        ("uid", "000000000012"),
        ("uid", "١٢"),
        ("uid", "1" * 5000),
        ("uid", 12),
        ("appId", "other"),
        ("source", "a b"),
        ("startedAt", NOW + 301),
        ("startedAt", NOW * 1000),
        ("startedAt", "yesterday"),
        ("startedAt", "2023-11-14T22:13:20"),
        ("startedAt", 0),
        ("startedAt", True),
        ("maxDuration", 0),
        ("maxDuration", -5),
        ("maxDuration", "0s"),
        ("maxDuration", "5 minutes"),
        ("maxDuration", 10**400),
        ("maxDuration", {}),
        ("resourceExpiredHour", 0.5),
        ("resourceExpiredHour", 721),
        ("resourceExpiredHour", "72"),
        ("maxIdleTime", 4),
        ("maxIdleTime", 2_592_001),
    ],
)
def test_a_value_that_breaks_its_rule_is_named(field: str, value: Any) -> None:
    assert set(problems(BODY | {field: value})) == {field}


@pytest.mark.parametrize("body", [None, [], "text", 5, True])
def test_what_is_not_an_object_is_refused(body: Any) -> None:
    assert set(problems(body)) == {"body"}


@pytest.mark.parametrize("sid", ["", "a" * 129, "a/b", "a b", "a\n", "é", "{x}"])
def test_a_sid_that_cannot_be_one_is_refused(sid: str) -> None:
    assert set(problems(BODY, sid=sid)) == {"sid"}


def test_with_several_app_ids_it_must_be_said_which() -> None:
    assert set(problems(BODY, app_ids=("a", "b"))) == {"appId"}


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine it is
@given(
    st.dictionaries(
        st.sampled_from([*BODY, "appId", "startedAt", "maxDuration", "maxIdleTime", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
            ),
        ),
    )
)
def test_no_body_makes_it_fail_otherwise(body: dict[str, Any]) -> None:
    try:
        found = read(body)
    except RegistrationError as error:
        assert error.problems  # noqa: PT017 - either outcome is well
    else:
        assert found.resource_id


def joined(known: Session | None, facts: Registration, limit: float | None = None) -> Session:
    return join(known, facts, now=NOW, max_duration=limit)


def test_registering_twice_is_the_same_as_once() -> None:
    once = joined(None, read(BODY))

    assert joined(once, read(BODY)) == once


def test_what_gives_no_limit_gets_the_configured_one() -> None:
    assert joined(None, read(BODY), 60.0).max_duration == 60.0
    assert joined(None, read(BODY | {"maxDuration": 5}), 60.0).max_duration == 5


def test_other_facts_of_a_registered_recording_are_refused() -> None:
    once = joined(None, read(BODY))

    with pytest.raises(OtherRecordingError) as caught:
        joined(once, read(BODY | {"cname": "other", "resourceId": "other"}))

    assert set(caught.value.fields) == {"cname", "resource_id"}


def test_a_recording_known_from_the_stream_becomes_askable_and_keeps_what_was_observed() -> None:
    seen = session(resource_id="", app_id="", mode="", uid="99", registered=False)
    seen = observe(seen, event(Reading.STARTED))

    known = joined(seen, read(BODY))

    assert known.askable(NOW)
    assert (known.state, known.heard_at, known.uid) == (State.RECORDING, NOW, "527841")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fileNamePrefix", "dir"),
        ("fileNamePrefix", ["a/b"]),
        ("fileNamePrefix", [1]),
        ("avFileType", ["avi"]),
        ("maxRecordingHour", 721),
        ("maxRecordingHour", "2h"),
    ],
)
def test_what_names_files_and_lives_is_checked(field: str, value: object) -> None:
    assert set(problems(BODY | {field: value})) == {field}
