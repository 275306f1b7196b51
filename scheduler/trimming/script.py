"""One round of trimming one stream, atomically; on one key, so that Cluster accepts it.

What the groups need is looked up in the step that trims. So it does not matter that a group may
move backwards (XGROUP SETID, a group made again, XCLAIM … FORCE): before the script or after it,
never between the look and the trimming. For the same reason several schedulers may trim at once.

A group needs what it was not given yet, and what it was given and has not acknowledged: the lower
of the two, as XGROUP SETID may put its position below what is pending. Pending ids below the
stream's first entry were trimmed by somebody else and hold nothing. A group that stands beyond the
last id ever used (the store came back empty, and the group was made again where it was) has seen
nothing of this stream, and a group that is missing neither: both need all of it.
"""

from collections.abc import Sequence
from typing import Any

from agora_sidecar.store import Redis, Script
from scheduler.trimming.verdict import Facts, Hold, Limits

ROUND = 10_000
"""Entries that one round evicts at most: some milliseconds in which the store serves nobody."""

# The store evicts a node only if all of it is below the id and within LIMIT: never more than was
# asked, and less than a node too few. LIMIT 0 would mean "without limit". Where an operator allows
# nodes larger than a round, the round grows, or nothing would go; `node` is an estimate, as all
# but the outer nodes are full. Ids are compared as text: they have 64 bits twice, Lua's numbers 53.
_TRIM = """
local key, retention, most, round = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length, evicted = redis.call('XLEN', key), 0
if length == 0 then return {string.format('%.0f', now), 0, 0, 0, '', {}} end

local function number_before(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a, b)
  local ms, seq = string.match(a, '(%d+)-(%d+)')
  local other_ms, other_seq = string.match(b, '(%d+)-(%d+)')
  if ms ~= other_ms then return number_before(ms, other_ms) end
  return number_before(seq, other_seq)
end
local function pairs_of(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
local function first_from(id)
  local found = redis.call('XRANGE', key, id, '+', 'COUNT', 1)[1]
  return found and found[1]
end

local info = pairs_of(redis.call('XINFO', 'STREAM', key))
local oldest, last = info['first-entry'][1], info['last-generated-id']
local node = math.ceil(2 * length / info['radix-tree-keys'])
round = math.max(round, node)
local groups = {}
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = pairs_of(flat)
  groups[group.name] = group
end

local function need(name)
  local group = groups[name]
  if not group then return 'missing', oldest, length end
  local position = group['last-delivered-id']
  if before(last, position) then return 'ahead', oldest, length end
  local fresh = position ~= last and first_from('(' .. position)
  local given = redis.call('XPENDING', key, name, oldest, '+', 1)[1]
  local behind = group.lag and group.lag + group.pending or -1
  if given and not (fresh and before(fresh, given[1])) then return 'pending', given[1], behind end
  if fresh then return 'undelivered', fresh, behind end
end

local floor, holds = nil, {}
for i = 4, #ARGV do
  local why, first, behind = need(ARGV[i])
  if why then
    holds[#holds + 1] = {ARGV[i], why, first, behind}
    if not floor or before(first, floor) then floor = first end
  end
end

local function trim(cut, limit)
  if floor and before(floor, cut) then cut = floor end
  if limit <= 0 then return end
  evicted = evicted + redis.call('XTRIM', key, 'MINID', '~', cut, 'LIMIT', limit)
end
trim(string.format('%.0f-0', math.max(0, now - retention)), round)
trim('18446744073709551615-0', math.min(length - evicted - most, round - evicted))
oldest = first_from('-') or ''
return {string.format('%.0f', now), evicted, length - evicted, node, oldest, holds}
"""


class TrimScript:
    """Trims a stream by one round at a time."""

    def __init__(self, client: Redis) -> None:
        self._script = Script(client, _TRIM)

    async def round(self, stream: str, limits: Limits, groups: Sequence[str]) -> Facts:
        """Evict at most `ROUND` entries that are over the limits and that no group needs.

        Raises:
            StoreError: as many as a round may be gone, or none; doing it again is safe.
        """
        retention_ms = max(1, int(limits.retention * 1000))
        reply: Any = await self._script(
            keys=[stream], args=[retention_ms, limits.max_entries, ROUND, *groups]
        )
        now, evicted, entries, node, oldest, holds = reply
        return Facts(
            now_ms=int(now),
            evicted=evicted,
            entries=entries,
            node=node,
            oldest=oldest.decode(),
            holds=tuple(map(_hold, holds)),
        )


def _hold(row: tuple[bytes, bytes, bytes, int]) -> Hold:
    group, why, first, behind = row
    return Hold(group.decode(), why.decode(), first.decode(), behind if behind >= 0 else None)
