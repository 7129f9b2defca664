-- Say that the call still runs.
--
-- KEYS  1 request  2 votes  3 claim
-- ARGV  1 fence  2 lease_ms
-- Gives {word, now_ms, state}: renewed | missing | ended
--
-- Rules:
-- - only the fence that got the permit renews it, and only until it finished;
-- - a lease that ran out is renewed too: the call does run, and its process was only slow.

local now = now_ms()
local state, _, _, _, claim = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if claim.fence ~= ARGV[1] or claim.outcome then return {'ended', now, state} end

redis.call('HSET', KEYS[3], 'until_ms', whole(now + tonumber(ARGV[2])))
return {'renewed', now, 'executing'}
