import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.recordings import NOT_STARTED
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.rules import next_rule
from agora_sidecar.emulator.studio.task import (
    CLIENT_LEFT,
    GONE,
    RUNNING,
    TRANSITIONS,
    Task,
    TransitionError,
    begin,
    change,
    move,
    publish,
    stop,
)
from tests.emulator.virtual import Vendor, page

CAUSES = ("start", "time", "file", "stop", "idle", "limit", "die", "fault", "rescue")
PLAN = Plan(sid="s", resource_id="r", cname="c", uid="1")


@pytest.mark.parametrize(("status", "cause"), [*itertools.product(TRANSITIONS, CAUSES)])
def test_a_declared_transition_leads_on_and_any_other_raises_and_changes_nothing(
    status: int, cause: str
) -> None:
    task = Task(uid="1", status=status, since=1.0)
    declared = TRANSITIONS[status].get(cause)

    if declared is None:
        with pytest.raises(TransitionError) as caught:
            move(task, cause, 2.0)
        assert (caught.value.status, caught.value.cause) == (status, cause)
        assert task == Task(uid="1", status=status, since=1.0)
    else:
        after = move(task, cause, 2.0)
        assert (after.status, after.since) == (declared, 2.0)


def test_every_status_leads_somewhere_known_and_only_gone_leads_nowhere() -> None:
    targets = {target for row in TRANSITIONS.values() for target in row.values()}

    assert targets | {NOT_STARTED} == set(TRANSITIONS)
    assert [status for status, row in TRANSITIONS.items() if not row] == [GONE]


def test_every_cause_is_one_of_these() -> None:
    assert {cause for row in TRANSITIONS.values() for cause in row} == set(CAUSES)


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_a_running_task_can_be_stopped(status: int) -> None:
    after = stop(Task(uid="1", status=status), 7.0)

    assert (after.since, after.leave_code) == (7.0, CLIENT_LEFT)


@pytest.mark.parametrize("status", sorted(set(TRANSITIONS) - RUNNING))
def test_a_task_that_does_not_run_cannot_be_stopped(status: int) -> None:
    with pytest.raises(TransitionError):
        stop(Task(uid="1", status=status), 7.0)


def test_a_publisher_who_is_there_already_changes_nothing() -> None:
    task = begin(PLAN, 0.0)

    assert publish(task, present=True, now=5.0) is task


@pytest.mark.parametrize("status", [GONE, NOT_STARTED])
def test_nothing_happens_by_itself_to_a_task_that_is_gone_or_not_started(status: int) -> None:
    assert next_rule(PLAN, change(Task(uid="1"), status=status))[0] == float("inf")


MODES = {"mix": {}, "individual": {"snapshotConfig": {"fileType": ["jpg"]}}, "web": page()}


@given(
    mode=st.sampled_from(sorted(MODES)),
    acts=st.lists(
        st.tuples(
            st.floats(0.1, 90.0), st.sampled_from(["publish", "silence", "stop", "fault", "hold"])
        ),
        max_size=8,
    ),
    max_idle=st.integers(5, 120),
    seed=st.integers(0, 1000),
)
def test_whatever_is_done_time_never_runs_back_and_every_recording_ends(
    *, mode: str, acts: list[tuple[float, str]], max_idle: int, seed: int
) -> None:
    vendor = Vendor(seed=seed)
    running = vendor.record(
        mode=mode,
        recordingConfig={"maxIdleTime": max_idle},
        **MODES[mode],  # type: ignore[arg-type]
    )
    for pause, act in acts:
        vendor.run(pause)
        recorder = vendor.studio.find(running.path.sid, vendor.now)
        if recorder is None:
            break
        if act in {"publish", "silence"}:
            vendor.studio.publish("room1", present=act == "publish", now=vendor.now)
        elif recorder.task.status in RUNNING:
            after = {
                "stop": lambda task=recorder.task: stop(task, vendor.now),
                "fault": lambda task=recorder.task: move(task, "fault", vendor.now),
                "hold": lambda task=recorder.task: task,
            }[act]()
            vendor.studio.act(recorder, after, vendor.now)
    running.silence()
    vendor.run(4 * 3600.0)

    assert running.truth.status == GONE
    assert vendor.studio.next_due() is None
    stamps = [message.payload["sendts"] for message in running.told]
    assert stamps == sorted(stamps)
    assert [message.ordinal for message in running.told] == [*range(1, len(stamps) + 1)]
    by_worker: dict[str, list[int]] = {}
    for message in running.told:
        by_worker.setdefault(message.payload["uid"], []).append(message.sequence)
    assert all(numbers == [*range(len(numbers))] for numbers in by_worker.values())
    if "fault" not in {act for _, act in acts}:
        assert running.events.count(11) == 1
