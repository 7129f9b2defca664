-- Say how an attempt ended.
--
-- KEYS  1 due  2 deliveries  3 dead letters  4 what of the request is undelivered  5 the tenant's events
-- ARGV  1 id  2 outcome: sent | again | dead  3 what is kept of it (JSON)  4 delay_ms  5 dead_max  6 retention_ms
--       7 "1": others are to be told of the request in this place's stead  8 request  9 its state  10 the place  11 events_max
-- Gives 1, or 0 where it was settled by somebody else before.
--
-- Rules:
-- - sent: it is gone; again: it is due after the delay; dead: it is the first of the dead letters, of which the oldest are cut;
-- - what failed stands under its request until it is sent.

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] == 'sent' then
  redis.call('HDEL', KEYS[4], ARGV[1])
else
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
  if ARGV[7] == '1' then
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[11], '*', 'request', ARGV[8], 'kind', 'undelivered', 'state', ARGV[9],
      'time_ms', string.format('%.0f', now), 'place', ARGV[10])
  end
end
if ARGV[2] == 'again' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[4])), ARGV[1])
  return 1
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] == 'dead' then
  redis.call('LPUSH', KEYS[3], ARGV[3])
  redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[5]) - 1)
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
return 1
