"""What one entry of a stream looks like: public, version 1.

CloudEvents 1.0 attribute names, so that existing SDKs can build an event from an entry; vendor
facts as extension attributes; all values strings; `data` exactly the bytes that were signed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from agora_sidecar.agora.events import event_name
from agora_sidecar.agora.notifications import Notification

SPEC_VERSION = "1.0"
LAST_MS = 253_402_300_799_999
"""The last millisecond that RFC 3339 can write: 9999-12-31T23:59:59.999Z."""

Fields = list[str | bytes]
"""Names and values of one entry, alternating, as XADD takes them."""


class Entry(msgspec.Struct, frozen=True):
    """One entry as a reader sees it; what is not there is empty."""

    stream_id: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: bytes
    origin: str
    cname: str = ""
    uid: str = ""
    productid: str = ""
    eventtype: str = ""
    sequence: str = ""
    notifyms: str = ""
    receivedms: str = ""
    replayof: str = ""


def rfc3339(*candidates_ms: int | None) -> str:
    """The first of these Unix milliseconds that a calendar can write, as RFC 3339 in UTC."""
    for ms in candidates_ms:
        if ms is not None and 0 < ms <= LAST_MS:
            return f"{_second(ms // 1000)}.{ms % 1000:03}Z"
    return "1970-01-01T00:00:00.000Z"


@lru_cache(maxsize=1024)  # events come in bursts: most fall into the same few seconds
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def notification_fields(
    notice: Notification, *, source: str, received_ms: int, origin: str = "webhook"
) -> list[str]:
    """The entry of a notification of the source named `source`, but for its `data`."""
    name = event_name(notice.product_id, notice.event_type)
    kind = (
        f"io.agora.cloud_recording.{name}"
        if name
        else f"io.agora.product.{notice.product_id}.event.{notice.event_type}"
    )
    fields = [
        *("specversion", SPEC_VERSION, "id", notice.notice_id, "source", f"/agora/{source}"),
        *("type", kind, "subject", notice.sid or notice.cname or ""),
        *("time", rfc3339(notice.send_ms, notice.notify_ms, received_ms)),
        *("datacontenttype", "application/json"),
        *("productid", str(notice.product_id), "eventtype", str(notice.event_type)),
    ]
    for field, value in (
        ("cname", notice.cname),
        ("uid", notice.uid),
        ("sequence", notice.sequence),
        ("notifyms", notice.notify_ms),
    ):
        if value is not None:
            fields += (field, str(value))
    fields += ("receivedms", str(received_ms), "origin", origin)
    return fields


def finding_fields(
    *, sid: str, kind: str, number: int, source: str, cname: str, uid: str, data: bytes, now_ms: int
) -> Fields:
    """The entry of a finding of ours: `kind` of recording `sid`, the `number`-th of that kind."""
    return [
        *("specversion", SPEC_VERSION, "id", f"sidecar:{sid}:{kind}:{number}"),
        *("source", f"/agora-sidecar/{source}", "type", f"io.agora.sidecar.recording.{kind}"),
        *("subject", sid, "time", rfc3339(now_ms), "datacontenttype", "application/json"),
        *("data", data, "cname", cname, "uid", uid),
        *("receivedms", str(now_ms), "origin", "reconciler"),
    ]


def quarantine_fields(*, source: str, reason: str, received_ms: int) -> list[str]:
    """The quarantine's entry for a signed body that cannot be read, but for its `data`."""
    return [
        *("source", f"/agora/{source}", "reason", reason),
        *("receivedms", str(received_ms), "time", rfc3339(received_ms)),
    ]


def read_entry(stream_id: bytes | str, fields: Mapping[bytes, bytes]) -> Entry:
    """The entry as typed values; foreign or missing fields do no harm."""
    known = {
        name: fields[name.encode()].decode(errors="replace")
        for name in Entry.__struct_fields__
        if name not in {"stream_id", "data"} and name.encode() in fields
    }
    required = dict.fromkeys(("id", "source", "type", "subject", "time", "origin"), "")
    return Entry(
        stream_id=stream_id.decode() if isinstance(stream_id, bytes) else stream_id,
        data=fields.get(b"data", b""),
        **(required | known),
    )
