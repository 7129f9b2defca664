-- Say how the run ended.
--
-- KEYS  1 request  2 votes  3 claim  4 events
-- ARGV  1 id  2 fence  3 outcome: done | failed | unknown  4 retention_ms  5 events_max
-- Gives {word, now_ms, state}: finished | missing | ended
--
-- Rules:
-- - only the fence that got the permit says how it ended; it wins over an unknown that was derived from its lease;
-- - the same outcome again is the same end; another one is refused.

local now = now_ms()
local state, _, request, _, claim = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if claim.fence ~= ARGV[2] then return {'ended', now, state} end
if claim.outcome then return {claim.outcome == ARGV[3] and 'finished' or 'ended', now, state} end
if not ENDS[ARGV[3]] then
  return redis.error_reply('ERR a run ends as done, failed or unknown')
end

local expires = keep_until(now, request, tonumber(ARGV[4]))
redis.call('HSET', KEYS[3], 'outcome', ARGV[3], 'ended_ms', whole(now))
redis.call('PEXPIREAT', KEYS[3], expires)
redis.call('PEXPIREAT', KEYS[1], expires)
announce(KEYS[4], ARGV[5], now, ARGV[1], 'finished', ARGV[3])
return {'finished', now, ARGV[3]}
