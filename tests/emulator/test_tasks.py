import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.recordings import (
    EXITED,
    IN_PROGRESS,
    INITIALISED,
    NOT_STARTED,
    PARTLY_READY,
    READY,
    STARTING,
    STOPPED,
    STOPPING,
)
from agora_sidecar.emulator.tasks import (
    CLIENT_LEFT,
    ENDINGS,
    GONE,
    LEAVING,
    NO_USERS,
    RUNNING,
    TRANSITIONS,
    Task,
    TransitionError,
    begin,
    last_events,
    move,
    next_step,
    publish,
    stop,
)

CAUSES = ("start", "time", "file", "stop", "idle")


def run(task: Task, until: float) -> tuple[Task, list[tuple[float, str]], list[tuple[float, int]]]:
    """The task at a time, with the events and statuses on the way."""
    events: list[tuple[float, str]] = []
    statuses = [(0.0, task.status)]
    while (step := next_step(task)) is not None and step.at <= until:
        if step.task.status != task.status:
            statuses.append((step.at, step.task.status))
        events.extend((step.at, event) for event in step.events)
        task = step.task
    return task, events, statuses


def names(events: list[tuple[float, str]]) -> list[str]:
    return [name for _, name in events]


@pytest.mark.parametrize(("status", "cause"), [*itertools.product(TRANSITIONS, CAUSES)])
def test_a_declared_transition_leads_on_and_any_other_raises_and_changes_nothing(
    status: int, cause: str
) -> None:
    task = Task(status=status, since=1.0)
    declared = TRANSITIONS[status].get(cause)

    if declared is None:
        with pytest.raises(TransitionError) as caught:
            move(task, cause, 2.0)
        assert (caught.value.status, caught.value.cause) == (status, cause)
        assert task == Task(status=status, since=1.0)
    else:
        after = move(task, cause, 2.0)
        assert (after.status, after.since) == (declared, 2.0)


def test_every_status_leads_somewhere_known_and_only_gone_leads_nowhere() -> None:
    targets = {target for row in TRANSITIONS.values() for target in row.values()}

    assert targets | {NOT_STARTED} == set(TRANSITIONS)
    assert [status for status, row in TRANSITIONS.items() if not row] == [GONE]


def test_the_ladder_with_a_publisher_goes_from_1_to_5() -> None:
    _, events, statuses = run(begin(Task(), 0.0), 30.0)

    assert statuses == [
        (0.0, INITIALISED),
        (0.5, STARTING),
        (1.0, PARTLY_READY),
        (2.0, READY),
        (18.0, IN_PROGRESS),
    ]
    assert events == [
        (2.0, "recorder_started"),
        (3.0, "audio_stream_state_changed"),
        (3.0, "video_stream_state_changed"),
        (3.0, "slice_start"),
        (18.0, "file_infos"),
    ]


def test_progress_is_told_once_a_minute() -> None:
    _, events, _ = run(begin(Task(), 0.0), 200.0)

    assert [at for at, name in events if name == "uploading_progress"] == [60.0, 120.0, 180.0]


def test_without_a_publisher_the_task_ends_by_itself_after_its_idle_time() -> None:
    task, events, statuses = run(begin(Task(publisher=False, max_idle=30.0), 0.0), 1000.0)

    assert (30.0, STOPPING) in statuses
    assert (task.status, task.leave_code, task.recorded) == (GONE, NO_USERS, False)
    assert names(events) == ["recorder_started", "recorder_leave", "session_exit"]


def test_the_idle_time_counts_from_when_the_publisher_left() -> None:
    task, _, _ = run(begin(Task(max_idle=30.0), 0.0), 100.0)
    task = publish(task, present=False, now=100.0)

    _, events, statuses = run(task, 1000.0)

    assert statuses[1] == (130.0, STOPPING)
    assert names(events)[:2] == ["audio_stream_state_changed", "video_stream_state_changed"]
    assert {"upload", "uploader_started"} <= set(names(events))


def test_a_publisher_who_comes_back_in_time_keeps_the_task_alive() -> None:
    task, _, _ = run(begin(Task(max_idle=30.0), 0.0), 100.0)
    task, _, _ = run(publish(task, present=False, now=100.0), 120.0)
    task = publish(task, present=True, now=120.0)

    task, events, _ = run(task, 150.0)

    assert task.status == IN_PROGRESS
    assert names(events) == ["audio_stream_state_changed", "video_stream_state_changed"]


def test_a_publisher_who_is_there_already_changes_nothing() -> None:
    task = begin(Task(), 0.0)

    assert publish(task, present=True, now=5.0) == task


def test_the_first_media_starts_the_first_slice_and_later_ones_none() -> None:
    task, early, _ = run(begin(Task(publisher=False, max_idle=600.0), 0.0), 50.0)
    _, events, _ = run(publish(task, present=True, now=50.0), 70.0)

    assert "slice_start" not in names(early)
    assert (51.0, "slice_start") in events
    assert (66.0, "file_infos") in events


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_a_running_task_can_be_stopped(status: int) -> None:
    after = stop(Task(status=status), 7.0)

    assert (after.status, after.since, after.leave_code) == (STOPPING, 7.0, CLIENT_LEFT)


@pytest.mark.parametrize("status", sorted(LEAVING | {GONE, NOT_STARTED}))
def test_a_task_that_does_not_run_cannot_be_stopped(status: int) -> None:
    with pytest.raises(TransitionError):
        stop(Task(status=status), 7.0)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stopped_task_leaves_uploads_and_is_gone(ending: tuple[str, ...]) -> None:
    task, _, _ = run(begin(Task(ending=ending), 0.0), 30.0)

    _, events, statuses = run(stop(task, 30.0), 1000.0)

    assert statuses == [(0.0, STOPPING), (32.0, STOPPED), (35.0, EXITED), (40.0, GONE)]
    assert tuple(names(events)) == ending


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_never_recorded_is_not_uploaded(ending: tuple[str, ...]) -> None:
    assert last_events(Task(ending=ending)) == ("recorder_leave", "session_exit")


@given(
    acts=st.lists(
        st.tuples(st.floats(0.1, 90.0), st.sampled_from(["publish", "silence", "stop"])), max_size=8
    ),
    max_idle=st.integers(5, 120),
    publisher=st.booleans(),
)
def test_whatever_is_done_time_never_runs_back_and_every_task_ends_told(
    *, acts: list[tuple[float, str]], max_idle: int, publisher: bool
) -> None:
    task = begin(Task(publisher=publisher, max_idle=max_idle), 0.0)
    now, told = 0.0, []
    for pause, act in acts:
        now += pause
        task, events, _ = run(task, now)
        told += events
        if act == "stop" and task.status in RUNNING:
            task = stop(task, now)
        elif act != "stop":
            task = publish(task, present=act == "publish", now=now)
    task, events, _ = run(publish(task, present=False, now=now), now + 1000.0)
    told += events

    assert task.status == GONE
    assert [at for at, _ in told] == sorted(at for at, _ in told)
    assert names(told).count("session_exit") == 1
    assert ("upload" in names(told)) == task.recorded


def test_nothing_happens_by_itself_to_a_task_that_is_gone_or_not_started() -> None:
    assert next_step(Task(status=GONE)) is None
    assert next_step(replace(Task(), status=NOT_STARTED)) is None
