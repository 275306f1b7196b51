"""For whoever acts on the stream in Python: read it as a group, lose nothing, bury what is poison.

`Consumer` is the door; what it gives is a `Delivery`, acknowledged once it is done with. The whole
is at least once: an entry may come twice, its `source` and `id` tell. `to_cloudevent` is the view
that CloudEvents SDKs take. Beneath: reading without a group (`history`), and putting entries on
a stream again (`copies`). What appends news to the stream does not live here.
"""

from agora_sidecar.consumer.cloudevent import to_cloudevent
from agora_sidecar.consumer.consumer import Consumer, Delivery
from agora_sidecar.entry import Entry
from agora_sidecar.store import StoreError

__all__ = ["Consumer", "Delivery", "Entry", "StoreError", "to_cloudevent"]
