"""The ledger's scripts: each is one step for everybody who looks at the store."""

# KEYS: recording, due, events, lease, claim. ARGV: version, token or '', sid, due or '', time to
# live in ms or 0, kind or '', the entry's fields, the hash's fields (both msgpack arrays).
SAVE = """
if ARGV[2] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[2] then return -1 end
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= tonumber(ARGV[1]) then return -2 end
local told = {}
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  if string.sub(kept[i], 1, 8) == 'finding:' then
    told[#told + 1] = kept[i]
    told[#told + 1] = kept[i + 1]
  end
end
if ARGV[6] ~= '' and redis.call('HEXISTS', KEYS[1], 'finding:' .. ARGV[6]) == 0 then
  told[#told + 1] = 'finding:' .. ARGV[6]
  told[#told + 1] = redis.call('XADD', KEYS[3], '*', unpack(cmsgpack.unpack(ARGV[7])))
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', version + 1, unpack(cmsgpack.unpack(ARGV[8])))
if #told > 0 then redis.call('HSET', KEYS[1], unpack(told)) end
if ARGV[5] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
if ARGV[4] == '' then redis.call('ZREM', KEYS[2], ARGV[3])
else redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3]) end
if ARGV[2] ~= '' then redis.call('DEL', KEYS[5]) end
return version + 1
"""

# KEYS: recording, due. ARGV: sid, due or '', version or ''
POSTPONE = """
if ARGV[3] ~= '' then
  local found = redis.call('HGET', KEYS[1], 'version') or '0'
  if found ~= ARGV[3] then return 0 end
end
if ARGV[2] == '' then redis.call('ZREM', KEYS[2], ARGV[1])
else redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
return 1
"""

# KEYS: recording, due. ARGV: sid, time to live of the mark in ms, or 0: leave none
FORGET = """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] ~= '0' then
  redis.call('HSET', KEYS[1], 'forgotten', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
"""

# KEYS: lease, claim. ARGV: token, length in ms. Who calls for a recording holds the claim: a leader
# that was paused in the middle of a call is not overtaken by the next one before that call is over.
CLAIM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""
