"""The names of what is recorded, and the lists that tell of it (pure).

Source: Docs-Source `cloud-recording/develop/manage-files.md`.
"""

from datetime import UTC, datetime
from typing import Any

from agora_sidecar.agora.recordings import INDIVIDUAL
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.task import Task, Track

FORBIDDEN_IN_NAMES = str.maketrans(dict.fromkeys("!@#$%^&*()+_.=[]{}~|,;:?<>/ \\", "-"))
ENDS = {"audio": "audio", "video": "video", "audio_and_video": "av"}
"""How the name of an individual recording's index ends, by `trackType`."""


def stem(plan: Plan, task: Task) -> str:
    """The beginning of every file's name; characters that names cannot have become `-`."""
    switched = f"bak{task.switches - 1}_" if task.switches else ""
    return f"{plan.prefix}{switched}{plan.sid}_{plan.cname.translate(FORBIDDEN_IN_NAMES)}"


def track_types(plan: Plan) -> tuple[str, ...]:
    """The `trackType` of each index that one stream uid gets."""
    if plan.mode == INDIVIDUAL:
        both = plan.merged and len(plan.tracks) == 2
        return (*plan.tracks, "audio_and_video") if both else plan.tracks
    return ("audio_and_video",) if len(plan.tracks) == 2 else plan.tracks


def index(plan: Plan, task: Task, *, uid: str = "", track_type: str = "") -> str:
    """An M3U8's name; of one stream uid and type in individual mode."""
    if plan.mode == INDIVIDUAL:
        return f"{stem(plan, task)}__uid_s_{uid}__uid_e_{ENDS[track_type]}.m3u8"
    return f"{stem(plan, task)}.m3u8"


def snapshot(plan: Plan, task: Task, uid: str, ms: int) -> str:
    """A screenshot's name."""
    taken = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d%H%M%S%f")[:-3]
    return f"{stem(plan, task)}__uid_s_{uid}__uid_e_video_{taken}.jpg"


def listed(plan: Plan, task: Task) -> list[dict[str, Any]]:
    """The files as objects; none before there is media, none of screenshots."""
    if not plan.files:
        return []
    return [
        {
            "fileName": name,
            "trackType": kind,
            "uid": track.uid,
            "mixedAllUser": plan.mode != INDIVIDUAL,
            "isPlayable": True,
            "sliceStartTime": track.ms,
        }
        for track in task.tracks
        for kind in track_types(plan)
        for name in _names(plan, task, track, kind)
    ]


def listed_of_page(plan: Plan, task: Task) -> list[dict[str, Any]]:
    """The files of a web recording."""
    return [
        {"filename": name, "sliceStartTime": track.ms}
        for track in task.tracks
        for name in reversed(_names(plan, task, track, ""))
    ]


def _names(plan: Plan, task: Task, track: Track, kind: str) -> list[str]:
    name = index(plan, task, uid=track.uid, track_type=kind)
    return [f"{stem(plan, task)}_0.mp4", name] if plan.mp4 else [name]
