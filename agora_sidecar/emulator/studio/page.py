"""What the recorder of a page does: opening, holding, pushing to a CDN, its longest time (pure).

Source: Docs-Source `cloud-recording/develop/webpage-mode.md`, `webpage-load-timeout.md`.
"""

import math

from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.endings import MAX_RECORDING_HOUR
from agora_sidecar.emulator.studio.plan import MIXED, Plan
from agora_sidecar.emulator.studio.rule import Happened, Rule
from agora_sidecar.emulator.studio.task import (
    RECORDING,
    RUNNING,
    Moment,
    Task,
    Track,
    change,
    move,
)

CONNECTS = 2.0
"""Seconds until a CDN takes the stream, or is given up."""
UNREACHABLE = "invalid"
"""The last label of a CDN's host that nobody reaches (RFC 6761)."""


def hold(task: Task, *, on_hold: bool, now: float) -> Task:
    """The task after its recording was paused or goes on."""
    if on_hold == task.on_hold:
        return task
    outputs = tuple((url, "onhold" if on_hold else "connecting") for url, _ in task.outputs)
    return change(
        task,
        on_hold=on_hold,
        publisher=not on_hold,
        publisher_changed=now,
        outputs=outputs,
        output_changed=now,
    )


def push(task: Task, urls: tuple[str, ...], now: float) -> Task:
    """The task after its CDN addresses were set anew."""
    outputs = tuple((url, "connecting") for url in urls)
    return change(task, outputs=outputs, output_changed=now)


def push_states(task: Task) -> list[Told]:
    """100, for each CDN address as it is now."""
    return [tell("rtmp_publish_status", rtmpUrl=url, status=state) for url, state in task.outputs]


def _record_due(_: Plan, task: Task) -> float:
    if task.status not in RECORDING or (task.hearing == MIXED) == task.publisher:
        return math.inf
    return task.publisher_changed


def _record(_: Plan, task: Task, now: Moment) -> Happened:
    if not task.publisher:
        return change(task, hearing=()), ()
    first = (Track(MIXED[0], now.at, now.ms),)
    after = change(task, hearing=MIXED, tracks=task.tracks or first)
    return change(after, first_ms=task.first_ms or now.ms), ()


def _reload_due(plan: Plan, task: Task) -> float:
    if task.death != "page_timeout" or task.reloaded or task.status not in RUNNING:
        return math.inf
    return task.dies_at - plan.ready_timeout


def _reload(_: Plan, task: Task, __: Moment) -> Happened:
    return change(task, reloaded=True), (tell("web_recorder_reload", reason="page_load_timeout"),)


def _limit_due(plan: Plan, task: Task) -> float:
    return task.began + plan.limit if task.status in RECORDING else math.inf


def _limit(_: Plan, task: Task, now: Moment) -> Happened:
    return change(move(task, "limit", now.at), web_code=MAX_RECORDING_HOUR), ()


def _connect_due(_: Plan, task: Task) -> float:
    if task.status not in RECORDING or "connecting" not in {state for _, state in task.outputs}:
        return math.inf
    return task.output_changed + CONNECTS


def _connect(_: Plan, task: Task, __: Moment) -> Happened:
    after = change(
        task,
        outputs=tuple(
            (url, _reached(url) if state == "connecting" else state) for url, state in task.outputs
        ),
    )
    return after, push_states(after)


def _reached(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return "disconnected" if host.rpartition(".")[2] == UNREACHABLE else "publishing"


RECORD = Rule(_record_due, _record)
RELOAD = Rule(_reload_due, _reload)
LIMIT = Rule(_limit_due, _limit)
CONNECT = Rule(_connect_due, _connect)
