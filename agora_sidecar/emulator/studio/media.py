"""What the recorder of a channel notices: streams, slices, indexes, silence, screenshots (pure)."""

import math

from agora_sidecar.agora.recordings import INDIVIDUAL, READY
from agora_sidecar.emulator.studio import files
from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.rule import Happened, Rule
from agora_sidecar.emulator.studio.task import (
    NO_USERS,
    RECORDING,
    Moment,
    Task,
    Track,
    change,
    move,
)

HEARING = 1.0
"""Seconds from a publisher's coming or going to the recorder's noticing it."""
FIRST_FILE = 15.0
"""Seconds from the first media to the first uploaded index; Docs-Source `manage-files.md`."""
FIRST_FILE_INDIVIDUAL = 60.0


def first_file(plan: Plan) -> float:
    """Seconds from the first media to the first upload."""
    if not plan.files:
        return plan.snapshot_every
    return FIRST_FILE_INDIVIDUAL if plan.mode == INDIVIDUAL else FIRST_FILE


def wanted(task: Task) -> tuple[str, ...]:
    """The stream uids that the recorder would notice now."""
    return task.users if task.publisher else ()


def _hear_due(_: Plan, task: Task) -> float:
    if task.status not in RECORDING or wanted(task) == task.hearing:
        return math.inf
    return task.publisher_changed + HEARING


def _hear(plan: Plan, task: Task, now: Moment) -> Happened:
    target = wanted(task)
    known = {track.uid for track in task.tracks}
    new = tuple(Track(uid, now.at, now.ms) for uid in target if uid not in known)
    told: list[Told] = []
    for uid in dict.fromkeys((*task.hearing, *target)):
        if (uid in target) != (uid in task.hearing):
            told += _stream(plan, uid, state=0 if uid in target else 1, ms=now.ms)
    after = change(
        task,
        hearing=target,
        tracks=(*task.tracks, *new),
        first_ms=task.first_ms or (now.ms if target else 0),
        next_snapshot=_next_snapshot(plan, task, now.at) if target else math.inf,
    )
    return after, [*told, *(slice_ for track in new for slice_ in _slices(plan, track))]


def _stream(plan: Plan, uid: str, *, state: int, ms: int) -> list[Told]:
    return [
        tell(f"recorder_{kind}_stream_state_changed", streamUid=uid, state=state, utcMs=ms)
        for kind in plan.tracks
    ]


def _slices(plan: Plan, track: Track) -> list[Told]:
    if not plan.files:
        return []
    return [
        tell(
            "recorder_slice_start",
            startUtcMs=track.ms,
            discontinueUtcMs=track.ms,
            mixedAllUser=plan.mode != INDIVIDUAL,
            streamUid=track.uid,
            trackType=kind,
        )
        for kind in files.track_types(plan)
        if kind != "audio_and_video" or plan.mode != INDIVIDUAL
    ]


def _file_due(plan: Plan, task: Task) -> float:
    if task.status not in RECORDING:
        return math.inf
    times = (track.at for track in task.tracks if not track.filed)
    return min(times, default=math.inf) + first_file(plan)


def _file(plan: Plan, task: Task, now: Moment) -> Happened:
    ripe = [
        track for track in task.tracks if not track.filed and track.at + first_file(plan) <= now.at
    ]
    tracks = tuple(change(t, filed=True) if t in ripe else t for t in task.tracks)
    after = move(task, "file", now.at) if task.status == READY else task
    names = [
        files.index(plan, task, uid=track.uid, track_type=kind)
        for track in ripe
        for kind in files.track_types(plan)
        if plan.files
    ]
    told = [tell("cloud_recording_file_infos", fileList=name) for name in names]
    return change(after, tracks=tracks), told


def _idle_due(plan: Plan, task: Task) -> float:
    return task.quiet_since + plan.max_idle if task.status in RECORDING else math.inf


def _idle(_: Plan, task: Task, now: Moment) -> Happened:
    return change(move(task, "idle", now.at), leave_code=NO_USERS), ()


def _next_snapshot(plan: Plan, task: Task, now: float) -> float:
    if not plan.snapshot_every:
        return math.inf
    return min(task.next_snapshot, now + plan.snapshot_every)


def _snapshot_due(_: Plan, task: Task) -> float:
    return task.next_snapshot if task.status in RECORDING else math.inf


def _snapshot(plan: Plan, task: Task, now: Moment) -> Happened:
    told = [
        tell("recorder_snapshot_file", fileName=files.snapshot(plan, task, uid, now.ms))
        for uid in task.hearing
    ]
    return change(task, next_snapshot=task.next_snapshot + plan.snapshot_every), told


HEAR = Rule(_hear_due, _hear)
FILE = Rule(_file_due, _file)
IDLE = Rule(_idle_due, _idle)
SNAPSHOT = Rule(_snapshot_due, _snapshot)
