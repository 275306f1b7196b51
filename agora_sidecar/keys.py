"""Every Redis key on one screen: name, type, lifetime, writer, reader.

| key | type | lifetime | written by | read by |
|---|---|---|---|---|
| `{ncs}:events` | stream | nothing trims it yet | receiver, scheduler (findings) | **public** |
| `{ncs}:quarantine` | stream | nothing trims it yet | receiver | operators |
| `{ncs}:seen:<source>:<noticeId>` | string | `dedupe_window` | receiver | receiver |
| `{ncs}:same:<source>:<digest>` | string | `dedupe_window` | receiver | receiver |
| `{ncs}:hints` | stream | not written yet | receiver | scheduler |
| `{ncs}:recording:<sid>` | hash | `keep`, once closed | scheduler | **public** |
| `{ncs}:due` | sorted set | while recordings are open | scheduler | scheduler |
| `{ncs}:allowlist` | hash | until overwritten | scheduler | readers; no firewall is fed from it |
| `{ncs}:lease:<name>` | string | the lease's length | scheduler | scheduler |
| `{ncs}:lease:<name>:fence` | string | for ever; it only grows | scheduler | scheduler |

The braces are a Redis Cluster hash tag: a shard's keys share a slot, so one script may touch them.
"""

GROUP = "sidecar"
"""Consumer group in which our own scheduler reads the events."""


class Keys:
    """The names of one shard's keys, for one prefix."""

    __slots__ = (
        "_recording",
        "_same",
        "_seen",
        "_tag",
        "allowlist",
        "due",
        "events",
        "hints",
        "quarantine",
    )

    def __init__(self, prefix: str = "ncs") -> None:
        self._tag = tag = "{" + prefix + "}"
        self.events = f"{tag}:events"
        self.quarantine = f"{tag}:quarantine"
        self.hints = f"{tag}:hints"
        self.due = f"{tag}:due"
        self.allowlist = f"{tag}:allowlist"
        self._seen = f"{tag}:seen:"
        self._same = f"{tag}:same:"
        self._recording = f"{tag}:recording:"

    def seen(self, source: str, notice_id: str) -> str:
        """The mark that a notice of this source is on the stream."""
        return f"{self._seen}{source}:{notice_id}"

    def same(self, source: str, digest: str) -> str:
        """The mark that a payload of this source is on the stream."""
        return f"{self._same}{source}:{digest}"

    def recording(self, sid: str) -> str:
        """The ledger's hash for one recording."""
        return self._recording + sid

    def lease(self, name: str) -> str:
        """Who leads in what `name` says."""
        return f"{self._tag}:lease:{name}"
