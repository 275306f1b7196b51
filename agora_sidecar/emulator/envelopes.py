"""What goes over the wire for one attempt of a notice (pure).

The top-level `sid` as observed in real traffic; it is not documented.
"""

from typing import Any

import msgspec

CLOUD_RECORDING = 3
"""`productId`."""


def envelope(
    notice_id: str, *, event_type: int, notify_ms: int, payload: dict[str, Any], sid: str | None
) -> bytes:
    """One attempt's body; `sid` stands at the top level only sometimes."""
    body: dict[str, Any] = {
        "noticeId": notice_id,
        "productId": CLOUD_RECORDING,
        "eventType": event_type,
        "notifyMs": notify_ms,
        "payload": payload,
    }
    return msgspec.json.encode({**body, "sid": sid} if sid else body)
