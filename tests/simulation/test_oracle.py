"""Each kind of wrong, made up: the judge must name it, and nothing else."""

from dataclasses import replace

import pytest

from scheduler.recordings.timings import Timings
from tests.simulation.chronicle import Call, Chronicle, Known, Told
from tests.simulation.oracle import judge
from tests.simulation.scenario import Scenario

KNOWN = Known(
    sid="a",
    cname="room",
    mode="mix",
    started_at=0.0,
    end="asked",
    known=True,
    registered_at=1.0,
    wanted_at=100.0,
    ended_at=110.0,
)
CLOSED = Told(at=111.0, sid="a", kind="closed", data=b"{}", runs=False)
STOP = Call(
    sent=101.0, at=101.2, process="p", name="stop", sid="a", answer="200", owed=True, runs=False
)
NOTHING = Scenario(seed=0, schedulers=1, recordings=(), disturbances=())


def found(*told: Told, known: Known = KNOWN, calls: tuple[Call, ...] = (STOP,)) -> set[str]:
    chronicle = Chronicle(recordings={"a": known}, calls=list(calls), told=list(told), ended=9e9)
    return set(judge(chronicle, NOTHING, timings=Timings()).failures)


def test_what_is_as_it_should_be_is_not_blamed() -> None:
    assert found(CLOSED) == set()


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ((), "unsettled"),
        ((CLOSED, CLOSED), "doubled"),
        ((replace(CLOSED, runs=True),), "wrong ends"),
        ((CLOSED, replace(CLOSED, sid="nobody's")), "foreign"),
        ((replace(CLOSED, at=111.0 + 300.0),), "late"),
    ],
)
def test_a_wrong_finding_is(told: tuple[Told, ...], kind: str) -> None:
    assert found(*told) == {kind}


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        ((replace(STOP, owed=False),), "wrong stops"),
        ((STOP, replace(STOP, sent=101.1, at=101.3, name="query")), "at once"),
        (
            tuple(replace(STOP, sent=101 + n / 10, at=101 + n / 10, sid=str(n)) for n in range(10)),
            "over budget",
        ),
    ],
)
def test_a_wrong_call_is(calls: tuple[Call, ...], kind: str) -> None:
    assert found(CLOSED, calls=calls) == {kind}


def test_an_owed_stop_that_does_not_come_is() -> None:
    late = replace(CLOSED, at=401.0)

    assert found(late, known=replace(KNOWN, wanted_at=10.0, started_at=-500.0, ended_at=400.0)) == {
        "not stopped"
    }


def test_a_closed_while_it_could_not_be_found_out_is_not_late() -> None:
    late = replace(CLOSED, at=111.0 + 600.0)
    chronicle = Chronicle(recordings={"a": replace(KNOWN)}, calls=[STOP], told=[late], ended=9e9)
    chronicle.happened.append((100.0, 600.0, "vendor fails"))

    assert judge(chronicle, NOTHING, timings=Timings()).failures == {}


def test_the_story_of_a_recording_has_everything_in_the_order_of_time() -> None:
    chronicle = Chronicle(recordings={"a": KNOWN}, calls=[STOP], told=[CLOSED])
    chronicle.arrivals.append((5.0, "a", 40, "200"))

    story = "\n".join(chronicle.story("a"))

    assert story.index("STARTS") < story.index("event 40") < story.index("p stop: 200")
    assert story.index("p stop: 200") < story.index("ENDS") < story.index("TOLD closed")
