"""The callback's body: signed bytes in, a `Notification` out, or an error that knows its status.

Envelope of message notifications: Docs-Source `shared/notification-center-service`,
`request-header-body.mdx`. The vendor adds fields and events without notice, so unknown ones are no
error; `payload`'s own fields are taken where they have a known type and left alone otherwise.
"""

from typing import Any

import msgspec

from agora_sidecar.agora.errors import UnreadableError

MAX_NOTICE_ID = 256
"""Characters. The longest form ever seen is a UUID's 36; it becomes part of a Redis key."""
MAX_NUMBER = 2**63 - 1
"""What a reader in any language can hold."""

CHECK_CHANNEL = "test_webhook"
CHECK_UID = "12121212"
"""Channel and uid of the console's health check ("Check"), which wants 200 before it saves."""


class Notification(msgspec.Struct, frozen=True):
    """One notification; `body` is exactly what was signed. What is not there is None."""

    notice_id: str
    product_id: int
    event_type: int
    body: bytes
    notify_ms: int | None = None
    sid: str | None = None
    cname: str | None = None
    uid: str | None = None
    sequence: int | None = None
    send_ms: int | None = None
    service_type: int | None = None

    @property
    def is_check(self) -> bool:
        """Whether this is the console's test notification."""
        return self.cname == CHECK_CHANNEL and self.uid == CHECK_UID


class _Payload(msgspec.Struct):
    cname: Any = None
    channelName: Any = None  # noqa: N815 - the vendor's spelling, RTC's name for cname
    uid: Any = None
    sid: Any = None
    sequence: Any = None
    sendts: Any = None
    serviceType: Any = None  # noqa: N815


class _Envelope(msgspec.Struct):
    noticeId: str  # noqa: N815
    productId: int  # noqa: N815
    eventType: int  # noqa: N815
    payload: _Payload = msgspec.field(default_factory=_Payload)
    notifyMs: int | None = None  # noqa: N815
    sid: Any = None


class _RawPayload(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_raw = msgspec.json.Decoder(_RawPayload).decode
_decode_any = msgspec.json.Decoder().decode


def read_notification(body: bytes) -> Notification:
    """Read a body whose signature has been verified.

    Raises:
        UnreadableError: not JSON, not an object, or an envelope field of a wrong type.
    """
    try:
        envelope = _decode(body)
    except msgspec.ValidationError as error:
        raise UnreadableError("schema", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError("not_json", str(error)) from error
    except RecursionError as error:
        raise UnreadableError("too_deep", "nested deeper than any notification") from error
    if not 0 < len(envelope.noticeId) <= MAX_NOTICE_ID:
        raise UnreadableError("schema", f"noticeId must have 1 to {MAX_NOTICE_ID} characters")
    for name in ("productId", "eventType", "notifyMs"):
        value = getattr(envelope, name)
        if value is not None and not 0 <= value <= MAX_NUMBER:
            raise UnreadableError("schema", f"{name} must be between 0 and {MAX_NUMBER}")
    payload = envelope.payload
    uid = payload.uid
    if type(uid) is int:  # a String in Cloud Recording, a Number in RTC
        uid = str(uid)
    return Notification(
        notice_id=envelope.noticeId,
        product_id=envelope.productId,
        event_type=envelope.eventType,
        body=body,
        notify_ms=envelope.notifyMs,
        sid=_string(payload.sid) or _string(envelope.sid),
        cname=_string(payload.cname) or _string(payload.channelName),
        uid=_string(uid),
        sequence=_number(payload.sequence),
        send_ms=_number(payload.sendts),
        service_type=_number(payload.serviceType),
    )


def payload_bytes(body: bytes) -> bytes:
    """The payload exactly as it stands in a readable body."""
    return bytes(_decode_raw(body).payload)


def read_details(body: bytes) -> dict[str, Any]:
    """`payload.details` of a readable body; empty where it has none."""
    payload = _decode_any(body).get("payload")
    details = payload.get("details") if isinstance(payload, dict) else None
    return details if isinstance(details, dict) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None
