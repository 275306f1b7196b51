"""Putting entries on a stream again, marked: copies of events, and quarantined bodies read anew."""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from agora_sidecar.agora.errors import UnreadableError
from agora_sidecar.agora.notifications import payload_bytes, read_notification
from agora_sidecar.consumer.history import Raw
from agora_sidecar.entry import Entry, notification_fields, read_entry
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, Script
from agora_sidecar.stream import Append, Outcome, Writer

REPLAY = "replay"
"""The `origin` of what was put again."""
REPLAY_OF = "replayof"
"""The field of a copy that holds the stream id of its original."""

# As a script, a batch is on the stream whole or not at all
_APPEND = """
local at = 1
while at < #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
"""


class Put(NamedTuple):
    """What became, or would become, of one entry.

    `outcome` is `put`, `known` (its notice is on the stream already), `check` (the console's test
    notification, which never is an event) or `unreadable`; `why` says more of the last.
    """

    original: str
    outcome: str
    stream: str
    entry: Entry
    why: str = ""


class Copier(Protocol):
    """Puts batches of entries again."""

    def plan(self, raw: Raw) -> Put:
        """What would become of it, as far as that can be told without the store."""
        ...

    async def put(self, batch: Sequence[Raw]) -> list[Put]:
        """Put them, in order; what became of each. Raises StoreError: some may be on the stream."""
        ...


class EventCopier:
    """Copies of events: the same but for `origin` and `replayof`; onto `to`, or their shard."""

    def __init__(self, client: Redis, shards: Shards, *, to: str = "") -> None:
        self._script = Script(client, _APPEND)
        self._shards = shards
        self._to = to

    def plan(self, raw: Raw) -> Put:
        """Where it goes."""
        original, fields = raw
        entry = read_entry(original, _marked(raw))
        subject = fields.get(b"subject", b"").decode(errors="replace")
        return Put(original, "put", self._to or self._shards.of(subject).events, entry)

    async def put(self, batch: Sequence[Raw]) -> list[Put]:
        """One script for each stream. Raises StoreError."""
        plans = [self.plan(raw) for raw in batch]
        arguments: dict[str, list[Any]] = {}
        for raw, plan in zip(batch, plans, strict=True):
            flat = [part for pair in _marked(raw).items() for part in pair]
            arguments.setdefault(plan.stream, []).extend((len(flat), *flat))
        for stream, given in arguments.items():
            await self._script(keys=[stream], args=given)
        return plans


def _marked(raw: Raw) -> dict[bytes, bytes]:
    original, fields = raw
    return fields | {b"origin": REPLAY.encode(), REPLAY_OF.encode(): original.encode()}


class QuarantineCopier:
    """Quarantined bodies that can be read by now, as proper entries, each once.

    `redundant` are the sources whose equal payloads are duplicates. What goes `to` another stream
    leaves no mark: the events do not have it.
    """

    def __init__(
        self, writer: Writer, shards: Shards, *, redundant: Collection[str], to: str = ""
    ) -> None:
        self._writer = writer
        self._shards = shards
        self._redundant = redundant
        self._to = to

    def plan(self, raw: Raw) -> Put:
        """Whether it can be read, and where it goes."""
        found = self._read(raw)
        return found if isinstance(found, Put) else _put(raw[0], found)

    async def put(self, batch: Sequence[Raw]) -> list[Put]:
        """Those that can be read. Raises StoreError."""
        found = [(raw[0], self._read(raw)) for raw in batch]
        appends = [one for _, one in found if isinstance(one, Append)]
        outcomes = iter(await self._writer.append_once(appends) if appends else ())
        return [
            one if isinstance(one, Put) else _put(original, one, next(outcomes))
            for original, one in found
        ]

    def _read(self, raw: Raw) -> Append | Put:
        original, fields = raw
        given = read_entry(original, fields)
        try:
            notice = read_notification(given.data)
        except UnreadableError as error:
            return Put(original, "unreadable", "", given, str(error))
        if notice.is_check:
            return Put(original, "check", "", given)
        source = given.source.removeprefix("/agora/")
        received = int(given.receivedms) if given.receivedms.isdecimal() else 0
        entry = notification_fields(notice, source=source, received_ms=received, origin=REPLAY)
        keys = self._shards.of(notice.sid or notice.cname or "")
        marks = () if self._to else self._marks(keys, source, notice.notice_id, given.data)
        return Append(self._to or keys.events, marks, entry, notice.body)

    def _marks(self, keys: Keys, source: str, notice_id: str, body: bytes) -> tuple[str, ...]:
        """Those that the receiver leaves."""
        seen = keys.seen(source, notice_id)
        if source not in self._redundant:
            return (seen,)
        return (seen, keys.same(source, sha256(payload_bytes(body)).hexdigest()))


def _put(original: str, append: Append, outcome: Outcome = Outcome.STORED) -> Put:
    pairs = zip(append.fields[::2], append.fields[1::2], strict=True)
    fields = {name.encode(): value.encode() for name, value in pairs} | {b"data": append.data}
    told = "put" if outcome is Outcome.STORED else "known"
    return Put(original, told, append.stream, read_entry(original, fields))
