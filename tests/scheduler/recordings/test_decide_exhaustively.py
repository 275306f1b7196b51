"""Every state, every evidence, every time that matters: what may be done, and what never."""

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest

from scheduler.recordings.decide import Action, Ask, Close, Stop, Stops, Tell, Wait, decide
from scheduler.recordings.observe import observe
from scheduler.recordings.session import Reading, Session, Source, State
from scheduler.recordings.timings import Timings
from tests.scheduler.recordings.evidence_samples import NOW, answer, event, session, stop_answer

TIMINGS = Timings(jitter=0.0)
LIVED: dict[str, Any] = {"alive_at": NOW - 60, "heard_at": NOW - 60, "started_at": NOW - 600}
LEFT = LIVED | {"left_at": NOW - 60}
STATES: dict[State, dict[str, Any]] = {
    State.STARTING: {"started_at": NOW - 5},
    State.RECORDING: LIVED | {"state": State.RECORDING},
    State.ENDING: LEFT | {"state": State.ENDING},
    State.UPLOADING: LEFT
    | {"state": State.UPLOADING, "ended_at": NOW - 60, "ended_by": Source.EVENT},
    State.CLOSED: LEFT
    | {"state": State.CLOSED, "closed_at": NOW - 1, "closed_reason": "uploaded"}
    | {"closed_by": Source.EVENT},
}
MISSING: dict[str, Any] = {
    "unfound_since": NOW - 120,
    "unfound_at": NOW - 20,
    "missing_since": NOW - 120,
    "missing_at": NOW - 20,
    "missing_hosts": ("api.example",),
    "asked_at": NOW - 20,
    "attempts": 6,
}
SITUATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "owed a stop": {"stop_wanted": "requested", "stop_wanted_at": NOW - 30},
    "404 for long": MISSING,
    "404 that is doubted": MISSING | {"missing_since": None, "missing_at": None, "doubted": True},
    "404 doubted for very long": MISSING
    | {"unfound_since": NOW - 920, "missing_since": None, "missing_at": None, "doubted": True},
    "404 and owed": MISSING | {"stop_wanted": "requested", "stop_wanted_at": NOW - 30},
    "without resource id": {"resource_id": ""},
    "unaskable and owed": {"resource_id": "", "stop_wanted": "requested"},
    "expired": {"started_at": NOW - 80 * 3600},
    "short life": {"max_recording_hour": 1.0, "max_idle_time": 20.0, "idle_since": NOW - 10},
}
TIMES = (0, 100, 1200, 2400, 3 * 3600, 86_400, 4 * 86_400)
TOLD = [
    replace(answer(Reading.NOT_FOUND, NOW), doubted=True),
    replace(answer(Reading.NOT_FOUND, NOW), unsure=True),
    *(event(reading, NOW) for reading in Reading if reading is not Reading.GIVEN_UP),
    *(answer(reading, NOW) for reading in Reading if reading is not Reading.GIVEN_UP),
    *(stop_answer(reading, NOW) for reading in Reading if reading is not Reading.GIVEN_UP),
]
POLICIES = (Stops(), Stops(policy=False), Stops(app_ids=frozenset({"other"})))


def check(known: Session, action: Action, *, now: float, stops: Stops) -> None:
    """What holds whatever happened."""
    match action:
        case Wait(until):
            assert until is None or until > now
        case Ask():
            assert known.askable(now)
            assert known.state is not State.CLOSED
        case Stop():
            assert stops.policy
            assert not stops.app_ids or known.app_id in stops.app_ids
            assert known.askable(now)
            assert known.stop_wanted
            assert known.state in {State.STARTING, State.RECORDING}
            assert not known.unfound
        case Tell(kind, why):
            assert why
            assert kind not in known.findings
            assert known.state is not State.CLOSED
        case Close(reason, told_by):
            assert is_over(known, reason, now=now)
            assert told_by in Source


def is_over(known: Session, reason: str, *, now: float) -> bool:
    """Each end by its own evidence."""
    if known.state is State.CLOSED:
        return not known.told
    if reason in {"not_found", "never_started"}:
        believed = (known.missing_at or 0) - (known.missing_since or now)
        lasted = (known.unfound_at or 0) - (known.unfound_since or now)
        return believed >= TIMINGS.end_after_404 or lasted >= TIMINGS.wave_patience
    if reason == "unconfirmed":
        return not known.askable(now) and bool(known.left_at or known.max_recording_hour)
    return known.ended_at is not None and now >= known.ended_at + TIMINGS.upload_wait


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_nothing_is_done_that_the_rules_forbid(state: State, situation: str) -> None:
    before = session(**(STATES[state] | SITUATIONS[situation]))
    for known in {observe(before, told) for told in TOLD}:
        for seconds, stops in product(TIMES, POLICIES):
            now = NOW + seconds
            action = decide(known, now=now, timings=TIMINGS, stops=stops)
            check(known, action, now=now, stops=stops)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_just_said_that_it_records_is_not_closed(state: State, situation: str) -> None:
    before = session(**(STATES[state] | SITUATIONS[situation]))
    known = observe(before, answer(Reading.RUNNING, NOW))
    assert not isinstance(decide(known, now=NOW, timings=TIMINGS), Close)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
@pytest.mark.parametrize("situation", [name for name in SITUATIONS if "owed" not in name])
def test_what_nobody_wants_stopped_is_never_stopped(state: State, situation: str) -> None:
    before = session(**(STATES[state] | SITUATIONS[situation]))
    for known, seconds in product({observe(before, told) for told in TOLD}, TIMES):
        assert not isinstance(decide(known, now=NOW + seconds, timings=TIMINGS), Stop)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_acting_comes_to_rest(state: State, situation: str) -> None:
    """With a vendor that never gives a usable answer, there is always time between two actions."""
    known, now = session(**(STATES[state] | SITUATIONS[situation])), NOW
    acts: list[float] = []
    for _ in range(60):
        action = decide(known, now=now, timings=TIMINGS)
        match action:
            case Wait(None):
                break
            case Wait(until):
                now = until or now
            case Ask():
                known, acts = observe(known, answer(Reading.UNKNOWN, now)), [*acts, now]
            case Stop():
                known, acts = observe(known, stop_answer(Reading.UNKNOWN, now)), [*acts, now]
            case Tell(kind):
                known = session_with(known, findings=(*known.findings, kind))
            case Close():
                break
    assert all(later - earlier >= 1 for earlier, later in pairwise(acts[2:]))


def session_with(known: Session, **changes: Any) -> Session:
    values = {name: getattr(known, name) for name in Session.__dataclass_fields__}
    return Session(**(values | changes))
