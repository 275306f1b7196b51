"""Every Redis key on one screen: name, type, lifetime, writer, reader.

| key | type | lifetime | written by | read by |
|---|---|---|---|---|
| `{ncs}:events` | stream | trimmed (see below) | receiver, scheduler (findings) | **public** |
| `{ncs}:quarantine` | stream | trimmed (see below) | receiver | operators |
| `{ncs}:dead:<group>` | stream | nothing trims it | consumers (the kit) | operators |
| `{ncs}:seen:<source>:<noticeId>` | string | `dedupe_window` | receiver | receiver |
| `{ncs}:same:<source>:<digest>` | string | `dedupe_window` | receiver | receiver |
| `{ncs}:hints` | stream | about 1000 entries | receiver | scheduler |
| `{ncs}:recording:<sid>` | hash | `keep`, once closed | scheduler | **public** |
| `{ncs}:claim:<sid>` | string | as long as a call may take | scheduler | scheduler |
| `{ncs}:due` | sorted set | while recordings are open | scheduler | scheduler |
| `{ncs}:allowlist` | hash | until overwritten | scheduler | readers; no firewall is fed from it |
| `{ncs}:lease:<name>` | string | the lease's length | scheduler | scheduler |
| `{ncs}:lease:<name>:fence` | string | for ever; it only grows | scheduler | scheduler |

Trimmed: by `stream.retention` and `stream.max_entries`, the events never before our own group and
those of `stream.protect_groups` have acknowledged them.

The braces are a Redis Cluster hash tag: a shard's keys share a slot, so one script may touch them.
With `stream.shards` above 1 a recording's keys are those of its shard, `{ncs:K}` (see `Shards`);
`{ncs}:quarantine`, `{ncs}:hints` and `{ncs}:allowlist` stay as they are.
"""

from zlib import crc32

GROUP = "sidecar"
"""Consumer group in which our own scheduler reads the events."""


class Keys:
    """The names of one shard's keys, for one prefix; `shard` is none where there is only one."""

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

    def __init__(self, prefix: str = "ncs", shard: int | None = None) -> None:
        self._tag = tag = "{" + prefix + ("" if shard is None else f":{shard}") + "}"
        self.events = f"{tag}:events"
        self.quarantine = f"{{{prefix}}}:quarantine"
        self.hints = f"{{{prefix}}}:hints"
        self.due = f"{tag}:due"
        self.allowlist = f"{{{prefix}}}:allowlist"
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

    def claim(self, sid: str) -> str:
        """Which leader is calling the vendor about this recording."""
        return f"{self._tag}:claim:{sid}"

    def dead(self, group: str) -> str:
        """What this consumer group gave up on."""
        return f"{self._tag}:dead:{group}"

    def renamed(self, key: str) -> str:
        """What this key of another prefix or shard is called here; others stay as they are."""
        _, brace, name = key.partition("}")
        return self._tag + name if brace else key

    def lease(self, name: str) -> str:
        """Who leads in what `name` says."""
        return f"{self._tag}:lease:{name}"


class Shards:
    """The shards over which recordings are spread: one recording keeps one stream.

    The shard of an entry is CRC-32 of its `subject` (the sid; where there is none the channel's
    name), modulo their number: any reader can compute it.
    """

    __slots__ = ("_prefix", "all", "whole")

    def __init__(self, prefix: str = "ncs", count: int = 1) -> None:
        self._prefix = prefix
        self.whole = Keys(prefix)
        self.all = tuple(Keys(prefix, k if count > 1 else None) for k in range(count))

    @property
    def abandoned(self) -> tuple[str, ...]:
        """Streams of the same prefix that another number of shards would have."""
        prefix, count = self._prefix, len(self.all)
        first = Keys(prefix, 0) if count == 1 else self.whole
        return first.events, Keys(prefix, count).events

    def of(self, subject: str) -> Keys:
        """The keys of the shard to which this sid (or channel) belongs."""
        if len(self.all) == 1:
            return self.all[0]
        return self.all[crc32(subject.encode(errors="replace")) % len(self.all)]
