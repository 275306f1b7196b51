"""What `query` and `stop` say of a recording: `serverResponse` in every mode (pure).

Source: Docs-Source `cloud-recording/rest-api/{query,stop}.mdx`; the reference.
"""

from typing import Any

from agora_sidecar.agora.recordings import MIX, WEB
from agora_sidecar.emulator.studio import files
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.task import ENDED, LEAVING, RECORDING, Task


def frame(plan: Plan) -> dict[str, Any]:
    """What names a recording in every answer; all of `start`'s and `update`'s."""
    return {
        "cname": plan.cname,
        "uid": plan.uid,
        "resourceId": plan.resource_id,
        "sid": plan.sid,
    }


def queried(plan: Plan, task: Task) -> dict[str, Any]:
    """What `query` says."""
    response: dict[str, Any] = {"status": task.status}
    if plan.mode == WEB:
        response["extensionServiceState"] = _page_services(plan, task)
    else:
        response |= _file_list(plan, task)
        if task.recorded:
            response["sliceStartTime"] = task.first_ms
    return {**frame(plan), "serverResponse": response}


def stopped(plan: Plan, task: Task, *, payload: str = "payload") -> dict[str, Any]:
    """What `stop` says; the upload's outcome is known only once the task has left."""
    outcome = {"uploadingStatus": _outcome(plan, task)}
    if plan.mode == WEB:
        services = [
            {"serviceName": "upload_service", payload: outcome},
            {"serviceName": "web_recorder_service", payload: _page(plan, task, "exit")},
        ]
        return {**frame(plan), "serverResponse": {"extensionServiceState": services}}
    return {**frame(plan), "serverResponse": {**_file_list(plan, task), **outcome}}


def index_name(plan: Plan, task: Task) -> str:
    """The first file's name, or nothing before there is one."""
    found = files.listed(plan, task)
    return str(found[-1]["fileName"]) if found else ""


def _outcome(plan: Plan, task: Task) -> str:
    if task.status not in ENDED:
        return "unknown"
    return "backuped" if plan.luck.backup else "uploaded"


def _file_list(plan: Plan, task: Task) -> dict[str, Any]:
    if plan.snapshot_every:
        return {}
    found = files.listed(plan, task)
    if plan.mode == MIX and not plan.mp4:
        name = files.index(plan, task) if found else ""
        return {"fileListMode": "string", "fileList": name}
    return {"fileListMode": "json", "fileList": found}


def _page_services(plan: Plan, task: Task) -> list[dict[str, Any]]:
    state = _state(task)
    services = [{"serviceName": "web_recorder_service", "payload": _page(plan, task, state)}]
    if plan.outputs:
        outputs = [{"rtmpUrl": url, "status": status} for url, status in task.outputs]
        pushed = {"state": state, "outputs": outputs}
        services.append({"serviceName": "rtmp_publish_service", "payload": pushed})
    return services


def _page(plan: Plan, task: Task, state: str) -> dict[str, Any]:
    return {
        "fileList": files.listed_of_page(plan, task),
        "onhold": task.on_hold,
        "state": state,
    }


def _state(task: Task) -> str:
    if task.status in RECORDING:
        return "inProgress"
    return "exit" if task.status in LEAVING | ENDED else "init"
