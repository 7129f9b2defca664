-- Let a request wait on its own: nobody holds the line for it, and the same call comes back for the answer.
--
-- KEYS  1 request  2 votes  3 claim
-- ARGV  1 id
-- Gives {word, now_ms, state}: deferred | missing
--
-- Rules:
-- - a pending request is deferred, and stays so; deferring it again changes nothing;
-- - one that was decided meanwhile is left alone: its caller is still there and is told the state.

local now = now_ms()
local state = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if state == 'pending' then redis.call('HSET', KEYS[1], 'deferred', '1') end
return {'deferred', now, state}
