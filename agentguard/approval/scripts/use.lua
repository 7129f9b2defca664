-- Use a grant for one call.
--
-- KEYS  1 uses of the grant  2 revoked  3 freezes
-- ARGV  1 name of the call  2 until_ms  3 uses_max  4 agent  5 tool
-- Gives {word, now_ms, number}: used (the number of this use, from 1) | again | over | used_up | revoked | frozen
--
-- Rules:
-- - not at or after until_ms, on Redis's clock; not once it was revoked, by whomever; not while frozen;
-- - no more uses than people granted, and no call twice.

local now = now_ms()
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {'again', now, 0} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'revoked', now, 0} end
for _, field in ipairs({'tenant:', 'agent:' .. ARGV[4], 'tool:' .. ARGV[5]}) do
  if redis.call('HEXISTS', KEYS[3], field) == 1 then return {'frozen', now, 0} end
end
if now >= (tonumber(ARGV[2]) or 0) then return {'over', now, 0} end
local number = redis.call('HLEN', KEYS[1]) + 1
if number > (tonumber(ARGV[3]) or 0) then return {'used_up', now, 0} end

redis.call('HSET', KEYS[1], ARGV[1], number)
redis.call('PEXPIREAT', KEYS[1], whole(tonumber(ARGV[2]) + 86400000))
return {'used', now, number}
