-- Put a person's signed order that calls stop.
--
-- KEYS  1 freezes
-- ARGV  1 field: scope:name  2 freeze (JSON)
-- Gives {word, now_ms, freeze}: frozen | before (somebody's order of this scope stands already: that one)
--
-- Rules:
-- - one order for each scope; the first stands until it is lifted;
-- - the same order again is the same order.

local now = now_ms()
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before and before ~= ARGV[2] then return {'before', now, before} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {'frozen', now, ARGV[2]}
