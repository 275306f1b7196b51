"""One member of a group on one shard's stream: the commands beyond reading new entries.

What a member holds for long is watched by its idle time: whoever finds an entry idle may take it.
So a member looks who holds an entry before it renews it, gives it back or buries it; look and deed
are one script, which the store runs whole or not at all.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from agora_sidecar.entry import Entry, read_entry
from agora_sidecar.keys import Keys
from agora_sidecar.store import Redis, Script, StoreError, store_errors
from agora_sidecar.stream import GroupReader

# Whoever else holds it now may have acted on it; one that nobody holds is not known to be done with
_TOUCH = """
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 then return 1 end
if held[1][2] ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], unpack(ARGV, 4))
return 1
"""

# Appended first: where that fails (no memory, a key of another type) the entry stays pending
_BURY = """
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 or held[1][2] ~= ARGV[2] then return 0 end
local found = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])
if #found == 1 then
  local fields = found[1][2]
  local why = {'reason', ARGV[4], 'deliveries', held[1][4], 'originalid', ARGV[3]}
  for i = 1, #why do fields[#fields + 1] = why[i] end
  redis.call('XADD', KEYS[2], '*', unpack(fields))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return #found
"""


class Left(NamedTuple):
    """An entry that some member was given and has not acknowledged; how often it was given."""

    stream_id: str
    deliveries: int


class Member(GroupReader):
    """Reads as `GroupReader` does; claims, renews, gives back and buries. All raise StoreError."""

    def __init__(self, client: Redis, keys: Keys, *, group: str, consumer: str) -> None:
        super().__init__(client, keys, group=group, consumer=consumer)
        self._touch = Script(client, _TOUCH)
        self._bury = Script(client, _BURY)
        self._dead = keys.dead(group)

    async def begin_now(self) -> None:
        """Make the group so that it reads what comes from now on; one that is there stays."""
        events: Any = self._keys.events
        try:
            with store_errors():
                await self._client.xgroup_create(events, self._group, id="$", mkstream=True)
                info = await self._client.xinfo_stream(events)
        except StoreError as error:
            if error.kind != "busygroup":
                raise
            return
        self._position = info["last-generated-id"].decode()

    async def left_behind(self, *, count: int, idle: float) -> list[Left]:
        """What was given to some member at least `idle` seconds ago, the oldest first."""
        rows = await self._or_heal(
            lambda: self._client.xpending_range(
                self._keys.events, self._group, min="-", max="+", count=count, idle=_ms(idle)
            )
        )
        return [Left(row["message_id"].decode(), row["times_delivered"]) for row in rows]

    async def claim(self, stream_id: str, *, idle: float) -> Entry | None:
        """Take it over, which counts as a delivery; none if it is gone or taken."""
        rows = await self._claimed(stream_id, idle=idle, justid=False)
        # Redis before 7 gives nothing for one that was deleted meanwhile
        found = [read_entry(found_id, fields) for found_id, fields in rows if fields]
        return found[0] if found else None

    async def renew(self, stream_id: str) -> bool:
        """Start its idle time anew; false where another member holds it by now."""
        return await self._touched(stream_id, "JUSTID")

    async def give_back(self, stream_id: str, *, idle: float) -> None:
        """As if it had never been given, and for anybody to claim at once."""
        await self._touched(stream_id, "IDLE", _ms(idle), "RETRYCOUNT", 0, "JUSTID")

    async def take_to_bury(self, stream_id: str, *, idle: float) -> bool:
        """Take it over without counting a delivery; false where somebody was faster."""
        return bool(await self._claimed(stream_id, idle=idle, justid=True))

    async def bury(self, stream_id: str, reason: str) -> bool:
        """Move what this member holds to the dead letters, in one go; false if it holds it not."""
        try:
            moved = await self._bury(
                keys=[self._keys.events, self._dead],
                args=[self._group, self._consumer, stream_id, reason],
            )
        except StoreError as error:
            if "NOGROUP" not in error.detail:
                raise
            return False
        return bool(moved)

    async def _claimed(self, stream_id: str, *, idle: float, justid: bool) -> Any:
        return await self._or_heal(
            lambda: self._client.xclaim(
                *(self._keys.events, self._group, self._consumer, _ms(idle)),
                message_ids=[stream_id],
                justid=justid,
            )
        )

    async def _or_heal(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """What the command gives; nothing, and the group made again, where the group is gone."""
        try:
            with store_errors():
                return await command()
        except StoreError as error:
            if error.kind != "nogroup":
                raise
        await self._heal()
        return []

    async def _touched(self, stream_id: str, *options: Any) -> bool:
        try:
            mine = await self._touch(
                keys=[self._keys.events], args=[self._group, self._consumer, stream_id, *options]
            )
        except StoreError as error:
            if "NOGROUP" not in error.detail:
                raise
            return True  # nobody holds it any more, and nobody but us has it
        return bool(mine)


def _ms(seconds: float) -> int:
    return max(0, int(seconds * 1000))
