-- Take a request back.
--
-- KEYS  1 request  2 votes  3 claim  4 pending  5 ended  6 events
-- ARGV  1 id  2 reason  3 retention_ms  4 events_max
-- Gives {word, now_ms, state}: withdrawn | missing | ended
--
-- Rules:
-- - a pending request can be taken back, and an approved one that was not redeemed;
-- - taking it back again is the same withdrawal;
-- - what ended, or runs, cannot be taken back.

local now = now_ms()
local state = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if state == 'withdrawn' then return {'withdrawn', now, state} end
if state ~= 'pending' and state ~= 'approved' then return {'ended', now, state} end

redis.call('HSET', KEYS[1], 'withdrawn', ARGV[2])
leave_pending(KEYS[4], KEYS[5], now, ARGV[1], tonumber(ARGV[3]))
announce(KEYS[6], ARGV[4], now, ARGV[1], 'withdrawn', 'withdrawn')
return {'withdrawn', now, 'withdrawn'}
