"""The stream: appending each notice once, and reading as a group. What an entry is: `entry`.

Appending is one script per batch: for each notice it looks whether it is known, appends, and only
then remembers it. So there is no window between the check and the append, and a failed append never
leaves a mark that would turn the vendor's retry into a "duplicate". A batch that failed half-way is
simply offered again: what got through is known.
"""

import asyncio
from collections.abc import Mapping, Sequence
from enum import IntEnum
from itertools import chain
from typing import Any

import msgspec

from agora_sidecar.entry import Entry, read_entry
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, Script, StoreError, store_errors

# Who may append and not remember (an ACL) would append the same again with each attempt
_APPEND_ONCE = """
local stream, ttl = KEYS[1], ARGV[1]
local key, outcomes = 2, {}
local marked = KEYS[key]
if marked and redis.acl_check_cmd and not redis.acl_check_cmd('SET', marked, '', 'PX', ttl) then
  return redis.error_reply('NOPERM this user may not SET the marks of notices')
end
for _, item in ipairs(cmsgpack.unpack(ARGV[2])) do
  local last = key + item[1] - 1
  local known = 0
  for m = key, last do
    if known == 0 and redis.call('EXISTS', KEYS[m]) == 1 then known = m - key + 1 end
  end
  if known == 0 then
    local fields = item[2]
    fields[#fields + 1] = 'data'
    fields[#fields + 1] = item[3]
    local id = redis.call('XADD', stream, '*', unpack(fields))
    for m = key, last do redis.call('SET', KEYS[m], id, 'PX', ttl) end
  end
  outcomes[#outcomes + 1] = known
  key = last + 1
end
return outcomes
"""


class Outcome(IntEnum):
    """What the store did with one offered notice."""

    STORED = 0
    DUPLICATE_NOTICE = 1
    DUPLICATE_PAYLOAD = 2


_OUTCOMES = tuple(Outcome)

SHARDS_AT_ONCE = 16
"""Shards appended to at the same time: each takes a connection of the 32 that there are."""

SKEW_MS = 10 * 60 * 1000
"""By how much the store's clock, which makes the stream's ids, may be behind ours."""
FIND_BATCH = 1000


class Append(msgspec.Struct, frozen=True, gc=False):
    """One entry to append to `stream` unless one of its marks exists.

    `stream` and `marks` are keys of one shard; the notice's mark comes first, the payload's (if the
    source is redundant) second. `fields` are all but `data`, which is bytes (Redis 7's cmsgpack
    knows no binary values).
    """

    stream: str
    marks: tuple[str, ...]
    fields: list[str]
    data: bytes


def at_home(item: Append, shards: Shards) -> Append:
    """This entry as these shards have it: it may have been made for another prefix, or for another
    number of shards.
    """
    named = dict(zip(item.fields[::2], item.fields[1::2], strict=False))
    quarantined = item.stream.endswith("}:quarantine")
    keys = shards.whole if quarantined else shards.of(named.get("subject", ""))
    stream = keys.renamed(item.stream)
    if stream == item.stream:
        return item
    return Append(stream, tuple(map(keys.renamed, item.marks)), item.fields, item.data)


async def abandoned(client: Redis, shards: Shards) -> list[str]:
    """Streams that another `stream.shards` left here: nobody reads or trims them.

    Raises:
        StoreError: it is not known.
    """
    execute: Any = client.execute_command
    with store_errors():
        return [key for key in shards.abandoned if await execute("EXISTS", key)]


class Writer:
    """Appends to the streams of all shards. `dedupe_window`: seconds that a mark lives."""

    def __init__(self, client: Redis, *, dedupe_window: float) -> None:
        self._client = client
        self._ttl_ms = max(1, int(dedupe_window * 1000))
        self._script = Script(client, _APPEND_ONCE)
        self._at_once = asyncio.Semaphore(SHARDS_AT_ONCE)

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append what is not known yet; one outcome for each, in order.

        The script comes back by itself when the server has lost it.

        Raises:
            StoreError: nothing is known of the batch; offering it again is safe.
        """
        stream = batch[0].stream
        if all(item.stream == stream for item in batch):  # always, with one shard
            return await self._append(stream, batch)
        places: dict[str, list[int]] = {}
        for place, item in enumerate(batch):
            places.setdefault(item.stream, []).append(place)
        # All are waited for: a shard whose node is gone keeps nothing from the others
        parts = await asyncio.gather(
            *(self._part(name, [batch[i] for i in of]) for name, of in places.items())
        )
        stored: list[list[Outcome]] = []
        for part in parts:
            if isinstance(part, StoreError):
                raise part
            stored.append(part)
        found = dict(zip(chain.from_iterable(places.values()), chain(*stored), strict=True))
        return [found[place] for place in range(len(batch))]

    async def _part(self, stream: str, batch: Sequence[Append]) -> list[Outcome] | StoreError:
        async with self._at_once:
            try:
                return await self._append(stream, batch)
            except StoreError as error:
                return error

    async def _append(self, stream: str, batch: Sequence[Append]) -> list[Outcome]:
        keys: list[str] = [stream]
        for item in batch:
            keys += item.marks
        outcomes = await self._script(keys=keys, args=(self._ttl_ms, _packed(batch)))
        return [_OUTCOMES[outcome] for outcome in outcomes]

    async def find(self, stream: str, *, since_ms: int) -> set[tuple[str, str]]:
        """Source (as in the entry) and id of every entry from that time (Unix ms) on.

        For copies that may have outlived their mark: rare, and as long as the stream is.

        Raises:
            StoreError: it is not known.
        """
        found: set[tuple[str, str]] = set()
        command: Any = self._client.execute_command
        start = str(max(0, since_ms - SKEW_MS))
        while True:
            with store_errors():
                reply = await command("XRANGE", stream, start, "+", "COUNT", FIND_BATCH)
            entries = [read_entry(i, _pairs(f)) for i, f in reply or []]
            found.update((entry.source, entry.id) for entry in entries)
            if len(entries) < FIND_BATCH:
                return found
            start = f"({entries[-1].stream_id}"


def _packed(batch: Sequence[Append]) -> bytes:
    """The batch as one msgpack array: one argument costs the driver less than three for each.

    `data` goes as a raw msgpack string, which may hold any bytes: Redis 7 knows no binary values.
    """
    parts = [b"\xdd" + len(batch).to_bytes(4, "big")]
    for item in batch:
        head = msgspec.msgpack.encode((len(item.marks), item.fields))
        # an array of two becomes one of three
        parts += (b"\x93", head[1:], b"\xdb" + len(item.data).to_bytes(4, "big"), item.data)
    return b"".join(parts)


class GroupReader:
    """Reads the events as a member of a consumer group.

    A group that vanished (the store came back empty, or somebody deleted it) is made again at the
    position remembered, or at the beginning when the stream's last id is below it: a store that
    came back empty starts new ids.
    """

    def __init__(self, client: Redis, keys: Keys, *, group: str, consumer: str) -> None:
        self._client = client
        self._keys = keys
        self._group = group
        self._consumer = consumer
        self._position = "0-0"

    async def read(self, *, count: int, block: float) -> list[Entry]:
        """New entries, at most `count`, waiting at most `block` seconds for the first.

        Raises:
            StoreError: the store did not answer.
        """
        reply = await self._guarded(
            "XREADGROUP",
            *("GROUP", self._group, self._consumer, "COUNT", count),
            *("BLOCK", max(1, int(block * 1000)), "STREAMS", self._keys.events, ">"),
        )
        entries = _entries(reply)
        if entries:
            self._position = entries[-1].stream_id
        return entries

    async def reclaim(self, *, count: int, idle: float) -> list[Entry]:
        """Entries that some member was given `idle` seconds ago and has not acknowledged.

        Raises:
            StoreError: the store did not answer.
        """
        reply = await self._guarded(
            "XAUTOCLAIM",
            *(self._keys.events, self._group, self._consumer, int(idle * 1000), "0-0"),
            *("COUNT", count),
        )
        if not reply:
            return []
        return [read_entry(i, _pairs(f)) for i, f in reply[1] if f is not None]

    async def acknowledge(self, stream_ids: Sequence[str]) -> None:
        """These are done with.

        Raises:
            StoreError: they may be delivered again.
        """
        if stream_ids:
            with store_errors():
                await self._client.xack(self._keys.events, self._group, *stream_ids)

    async def _guarded(self, command: str, *args: Any) -> Any:
        execute: Any = self._client.execute_command
        try:
            with store_errors():
                return await execute(command, *args)
        except StoreError as error:
            if error.kind != "nogroup":
                raise
        await self._heal()
        return []

    async def _heal(self) -> None:
        try:
            with store_errors():
                info = await self._client.xinfo_stream(self._keys.events)
            last = _text(info["last-generated-id"])
        except StoreError as error:
            if "no such key" not in error.detail:
                raise
            last = "0-0"
        start = self._position if _order(last) >= _order(self._position) else "0"
        try:
            with store_errors():
                await self._client.xgroup_create(
                    self._keys.events, self._group, id=start, mkstream=True
                )
        except StoreError as error:
            if error.kind != "busygroup":
                raise


def _entries(reply: Any) -> list[Entry]:
    if not reply:
        return []
    streams = reply.values() if isinstance(reply, dict) else [item[1] for item in reply]
    found: list[Entry] = []
    for entries in streams:
        # RESP3 wraps the list of entries once more
        for stream_id, fields in entries:
            found.append(read_entry(stream_id, _pairs(fields)))
    return found


def _pairs(fields: Any) -> Mapping[bytes, bytes]:
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _order(stream_id: str) -> tuple[int, int]:
    ms, _, number = stream_id.partition("-")
    return int(ms), int(number or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
