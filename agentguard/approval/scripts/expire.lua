-- Say once that a request's deadline passed without an answer. Any live process may call this, at any time.
--
-- KEYS  1 request  2 votes  3 claim  4 pending  5 ended  6 events
-- ARGV  1 id  2 retention_ms  3 events_max
-- Gives {word, now_ms, state}: told (now, or before) | missing
--
-- Rules:
-- - that a request is expired follows from its deadline and Redis's clock; nothing here makes it so;
-- - the event is written once: by whoever takes the id out of the index of pending ones;
-- - an id whose record is gone leaves the index without an event.

local now = now_ms()
local state = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return {'missing', now, state}
end
if state == 'expired' and redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  leave_pending(KEYS[4], KEYS[5], now, ARGV[1], tonumber(ARGV[2]))
  announce(KEYS[6], ARGV[3], now, ARGV[1], 'expired', 'expired')
end
return {'told', now, state}
