"""The Cloud Transcoder's events: another product under the same `productId` (pure).

Source: Docs-Source `cloud-transcoding/reference/webhooks/ncs-events.mdx`. No recording tells them;
they are there for receivers that must live with them.
"""

from typing import Any

EVENTS = {
    110: ("cloud_transcoder_started", {"state": "connecting"}),
    111: ("cloud_transcoder_stopped", {"stopReason": "stopped"}),
    112: ("cloud_transcoder_status", {"state": "running"}),
    113: ("cloud_transcoder_updated", {"state": "running"}),
}
"""Name and state by `eventType`."""


def payload(event_type: int, *, sequence: int, ms: int) -> dict[str, Any]:
    """`payload` of one event; it has no `cname`, `uid`, `sid`."""
    name, state = EVENTS[event_type]
    seconds = ms // 1000
    details = {"event": name, **state, "createTs": seconds, "updateTs": seconds}
    return {
        "taskId": "emulated-task",
        "instanceId": "emulated-instance",
        "sequence": sequence,
        "sendts": ms,
        "serviceScene": "rtsc/cloud-transcoder",
        "details": {**details, "transcoder": {"inputs": [], "outputs": []}},
    }
