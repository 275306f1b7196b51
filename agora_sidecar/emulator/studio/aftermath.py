"""What happens to a recording that has left: postponed transcoding and audio mixing (pure).

The vendor takes up to 24 hours; two minutes are our choice.
"""

import math

from agora_sidecar.emulator.studio import files
from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.rule import Happened, Rule
from agora_sidecar.emulator.studio.task import GONE, Moment, Task, change

BEGINS, ENDS = 60.0, 120.0
"""Seconds from the recording's end to the job's beginning, and to its end."""


def _due(plan: Plan, task: Task) -> float:
    if not plan.transcoding or task.status != GONE or not task.recorded or task.transcoded == 2:
        return math.inf
    return task.since + (ENDS if task.transcoded else BEGINS)


def _happen(plan: Plan, task: Task, _: Moment) -> Happened:
    after = change(task, transcoded=task.transcoded + 1)
    if after.transcoded == 1:
        return after, (tell("transcoder_started"),)
    return after, _missing(plan, task) if plan.luck.backup else _complete(plan, task)


def _complete(plan: Plan, task: Task) -> list[Told]:
    name = f"{files.stem(plan, task)}.{plan.transcoding}"
    result = [{"fileName": name}]
    users = [{"uid": track.uid, "result": "success", "fileList": result} for track in task.tracks]
    return [
        tell("transcoder_completed", result="all_success", uids=users),
        tell("postpone_transcode_final_result", result="total_success", fileList=result),
    ]


def _missing(plan: Plan, task: Task) -> list[Told]:
    # what ended in the vendor's backup cloud cannot be fetched from the customer's storage
    vendor, region, bucket = plan.storage
    names = ";".join(file["fileName"] for file in files.listed(plan, task))
    users = [{"uid": track.uid, "result": "fail"} for track in task.tracks]
    return [
        tell("download_failed", vendor=vendor, region=region, bucket=bucket, fileName=names),
        tell("transcoder_completed", result="fail", uids=users),
        tell("postpone_transcode_final_result", result="failed", fileList=[]),
    ]


TRANSCODE = Rule(_due, _happen)
