"""An entry as a CloudEvent in structured JSON. Pure."""

from base64 import b64encode
from typing import Any

import msgspec

from agora_sidecar.entry import SPEC_VERSION, Entry

_ATTRIBUTES = tuple(name for name in Entry.__struct_fields__ if name not in {"stream_id", "data"})


def to_cloudevent(entry: Entry) -> dict[str, Any]:
    """The CloudEvents 1.0 structured view: attributes, and `data` parsed.

    What is no JSON is `data_base64` instead; attributes that are empty are left out, as CloudEvents
    wants it. Of a foreign entry without `id`, `source` or `type` no valid event can be made: these
    are left out too.
    """
    event: dict[str, Any] = {"specversion": SPEC_VERSION}
    event |= {name: value for name in _ATTRIBUTES if (value := getattr(entry, name))}
    event["datacontenttype"] = "application/json"
    try:
        event["data"] = msgspec.json.decode(entry.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event["data_base64"] = b64encode(entry.data).decode()
    return event
