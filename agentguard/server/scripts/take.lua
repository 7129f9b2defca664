-- Put what events tell others into the outbox, and move the cursor past those events: both or neither.
--
-- KEYS  1 cursor  2 due  3 deliveries
-- ARGV  1 the cursor that the events were read after  2 the last event's id  3 retention_ms  then pairs: id, delivery (JSON)
-- Gives 1, or 0 where another server moved the cursor first, and nothing was written.
--
-- Rules:
-- - a delivery that is there already stays as it is.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for index = 4, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[3], ARGV[index], ARGV[index + 1]) == 1 then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[index])
  end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
