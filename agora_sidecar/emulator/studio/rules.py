"""Which rules hold for a recording, and the ones that hold for all of them (pure).

The durations are our choice within what the vendor says: ready within seconds, uploads within
20 s, another worker within 90 s.
"""

import math

from agora_sidecar.agora.recordings import (
    ABNORMAL,
    EXITED,
    INITIALISED,
    PARTLY_READY,
    READY,
    STARTING,
    STOPPED,
    STOPPING,
    WEB,
)
from agora_sidecar.emulator.studio import aftermath, media, page
from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.deaths import DEATHS
from agora_sidecar.emulator.studio.endings import last_events, leave
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.rule import Happened, Rule
from agora_sidecar.emulator.studio.task import (
    ADRIFT,
    GONE,
    RECORDING,
    RUNNING,
    Moment,
    Task,
    change,
    move,
)

STAYS = {
    INITIALISED: 0.5,
    STARTING: 0.5,
    PARTLY_READY: 1.0,
    STOPPING: 2.0,
    EXITED: 5.0,
    ABNORMAL: 5.0,
}
"""Seconds after which `time` moves a task on; `STOPPED` lasts as long as its upload."""
PAGE_OPENS = 4.0
"""Seconds that a page takes where a channel takes one."""
PROGRESS = 60.0
"""Seconds between two reports of the upload's progress."""
MOST_SWITCHES = 3
"""How often the vendor repairs a recording; the next fault is its end."""


def _stay_due(plan: Plan, task: Task) -> float:
    if task.status == STOPPED:
        return task.since + plan.luck.upload_takes
    if task.status == PARTLY_READY and plan.mode == WEB:
        return task.since + PAGE_OPENS
    return task.since + STAYS.get(task.status, math.inf)


def _stay(plan: Plan, task: Task, now: Moment) -> Happened:
    after = move(task, "time", now.at)
    if after.status == READY:
        return _ready(plan, after, now)
    if after.status == STOPPED:
        return after, last_events(plan, after)[:1]
    if task.status == STOPPED:
        return after, last_events(plan, after)[1:]
    if task.status == ABNORMAL and not DEATHS[task.death].silent:
        return after, (tell("session_exit", exitStatus=1),)
    return after, ()


def _ready(plan: Plan, task: Task, now: Moment) -> Happened:
    # nobody can notice a publisher before the recorder is in the channel
    after = change(
        task,
        publisher_changed=max(task.publisher_changed, now.at),
        output_changed=now.at,
        next_progress=now.at + PROGRESS,
    )
    if plan.mode != WEB:
        return after, (tell("recorder_started", status=0),)
    started = tell("web_recorder_started", recorderStartTime=now.ms)
    return after, [started, *page.push_states(after)]


def _progress_due(_: Plan, task: Task) -> float:
    return task.next_progress if task.status in RECORDING else math.inf


def _progress(_: Plan, task: Task, __: Moment) -> Happened:
    # all that is recorded is uploaded at once: while it runs, one slice is always behind
    told = tell("uploading_progress", progress=9375 if task.recorded else 0)
    return change(task, next_progress=task.next_progress + PROGRESS), (told,)


def _die_due(_: Plan, task: Task) -> float:
    return task.dies_at if task.status in RUNNING else math.inf


def _die(plan: Plan, task: Task, now: Moment) -> Happened:
    death = DEATHS[task.death]
    after = change(move(task, "die", now.at), web_code=death.web_code)
    if death.silent:
        return change(move(after, "time", now.at)), ()
    told: list[Told] = []
    if death.limit:
        told.append(tell("web_recorder_capability_limit", limitType=death.limit))
    if death.web_code:
        return after, [*told, leave(plan, after)]
    error = {"module": death.module, "errorLevel": 5, "errorCode": death.code}
    return after, [tell("cloud_recording_error", **error, stat=0, errorMsg="")]


def _fault_due(plan: Plan, task: Task) -> float:
    if task.status not in RUNNING or task.faulted >= len(plan.luck.faults_at):
        return math.inf
    return task.began + plan.luck.faults_at[task.faulted]


def _fault(_: Plan, task: Task, now: Moment) -> Happened:
    return change(move(task, "fault", now.at), faulted=task.faulted + 1), ()


def _rescue_due(plan: Plan, task: Task) -> float:
    return task.since + plan.luck.adrift if task.status == ADRIFT else math.inf


def _rescue(plan: Plan, task: Task, now: Moment) -> Happened:
    if task.switches == MOST_SWITCHES:
        return move(task, "time", now.at), ()
    new_uid = plan.luck.new_uids[task.switches]
    after = change(
        move(task, "rescue", now.at),
        uid=str(new_uid),
        switches=task.switches + 1,
        hearing=(),
        tracks=(),
        outputs=tuple((url, "connecting") for url, _ in task.outputs),
    )
    after, told = _ready(plan, after, now)
    return after, [tell("session_failover", newUid=new_uid), *told]


STAY = Rule(_stay_due, _stay)
RULES = (
    STAY,
    Rule(_die_due, _die),
    Rule(_fault_due, _fault),
    Rule(_rescue_due, _rescue),
    Rule(_progress_due, _progress),
    media.FILE,
)
OF_CHANNELS = (*RULES, media.HEAR, media.IDLE, media.SNAPSHOT, aftermath.TRANSCODE)
OF_PAGES = (*RULES, page.RECORD, page.RELOAD, page.LIMIT, page.CONNECT)


def rules(plan: Plan) -> tuple[Rule, ...]:
    """Everything that can happen by itself to a recording of this mode."""
    return OF_PAGES if plan.mode == WEB else OF_CHANNELS


def next_rule(plan: Plan, task: Task) -> tuple[float, Rule]:
    """What happens next by itself, and when; infinite: nothing, until somebody acts or ever."""
    best, chosen = math.inf, STAY
    for rule in rules(plan):
        due = rule.due(plan, task)
        if due < best:
            best, chosen = due, rule
    return best, chosen


def is_over(plan: Plan, task: Task) -> bool:
    """Whether the task is gone and nothing of it will be heard again."""
    return task.status == GONE and next_rule(plan, task)[0] == math.inf
