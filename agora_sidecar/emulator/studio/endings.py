"""What the last events of a recording say (pure)."""

from agora_sidecar.agora.recordings import WEB
from agora_sidecar.emulator.studio import files
from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.deaths import DEATHS
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.task import Task

MAX_RECORDING_HOUR = 1
"""Code 71 of a recording that reached its longest duration."""
_UPLOADS = frozenset({"uploader_started", "upload"})
_MESSAGES = {0: "ok", MAX_RECORDING_HOUR: "max_recording_hour"} | {
    death.web_code: death.message for death in DEATHS.values() if death.web_code
}


def last_events(plan: Plan, task: Task) -> list[Told]:
    """The events of the end, in this recording's order; without media nothing is uploaded."""
    told: list[Told] = []
    for name in plan.luck.ending:
        if task.recorded or name not in _UPLOADS:
            told += _one(plan, task, name)
    return told


def leave(plan: Plan, task: Task) -> Told:
    """41, in web mode 71."""
    if plan.mode != WEB:
        return tell("recorder_leave", leaveCode=task.leave_code)
    return tell(
        "web_recorder_stopped",
        code=task.web_code,
        message=_MESSAGES[task.web_code],
        details="",
        fileList=files.listed_of_page(plan, task),
    )


def _one(plan: Plan, task: Task, name: str) -> list[Told]:
    if name == "leave":
        return [leave(plan, task)]
    if name == "session_exit":
        return [tell(name, exitStatus=0)]
    if name == "uploader_started":
        return [tell(name, status=0)]
    outcome = "backuped" if plan.luck.backup else "uploaded"
    lists = {} if plan.mode == WEB else {"fileList": files.listed(plan, task)}
    sent_again = [tell("cloud_recording_warning", module=1, warnCode=32)]
    return [*(sent_again if plan.luck.backup else []), tell(outcome, status=0, **lists)]
