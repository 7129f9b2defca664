-- Turn an approved request into the one permit that it gives.
--
-- KEYS  1 request  2 votes  3 claim  4 events  5 freezes
-- ARGV  1 id  2 the version whose votes were verified  3 fence  4 lease_ms  5 retention_ms  6 events_max  7 agent  8 tool
-- Gives {word, now_ms, state}: redeemed | missing | ended | changed | frozen
--
-- Rules:
-- - exactly one fence gets the permit; the same fence again gets it again while its lease runs and it has not finished;
-- - only an approved request, before redeem_by_ms, gives one;
-- - only the very votes that were verified: another version is "changed";
-- - none while the tenant, the agent or the tool is frozen, by whomever; the request stays as it is.

local now = now_ms()
local state, version, request, _, claim = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if state == 'executing' and claim.fence == ARGV[3] then return {'redeemed', now, state} end
if state ~= 'approved' then return {'ended', now, state} end
if version ~= ARGV[2] then return {'changed', now, state} end
for _, field in ipairs({'tenant:', 'agent:' .. ARGV[7], 'tool:' .. ARGV[8]}) do
  if redis.call('HEXISTS', KEYS[5], field) == 1 then return {'frozen', now, state} end
end

local expires = keep_until(now, request, tonumber(ARGV[5]))
redis.call('HSET', KEYS[3], 'fence', ARGV[3], 'until_ms', whole(now + tonumber(ARGV[4])))
redis.call('PEXPIREAT', KEYS[3], expires)
redis.call('PEXPIREAT', KEYS[1], expires)
announce(KEYS[4], ARGV[6], now, ARGV[1], 'redeemed', 'executing')
return {'redeemed', now, 'executing'}
