"""What a recording has to tell, before it becomes a notice (pure)."""

from typing import Any

import msgspec

from agora_sidecar.agora.recordings import WEB
from agora_sidecar.emulator.studio.catalogue import CATALOGUE, NAMES, TRANSCODER, usual
from agora_sidecar.emulator.studio.plan import Plan


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `ordinal` counts a recording's from 1; `ending` marks those of its end."""

    sid: str
    cname: str
    event_type: int
    ordinal: int
    sequence: int
    payload: dict[str, Any]
    ending: bool


def scene(plan: Plan, module: int) -> str:
    """`serviceScene` of what a module says of this recording."""
    if plan.mode == WEB:
        return "web_record"
    if plan.transcoding:
        stage = "transcode" if module >= TRANSCODER else "rtc_record"
        return f"postpone_transcode::{stage}"
    return "rtc_record" if plan.files else "rtc_snapshot"


def payload(
    plan: Plan, name: str, details: dict[str, Any], *, uid: str, sequence: int, ms: int
) -> dict[str, Any]:
    """`payload` of one event that happened at `ms`, told by the worker `uid`."""
    module = CATALOGUE[name].module
    return {
        "cname": plan.cname,
        "uid": uid,
        "sid": plan.sid,
        "sequence": sequence,
        "sendts": ms,
        "serviceType": module,
        "serviceScene": scene(plan, module),
        "details": details,
    }


def check_payload(event_type: int, ms: int) -> dict[str, Any]:
    """`payload` of the test event that the console sends to try a URL; no `sid`.

    `cname` and `uid` as seen by a user (frankly#380); the rest is documented nowhere.
    """
    return {
        "cname": "test_webhook",
        "uid": "12121212",
        "sequence": 0,
        "sendts": ms,
        "serviceType": CATALOGUE[NAMES[event_type]].module,
        "details": usual(event_type)[1],
    }
