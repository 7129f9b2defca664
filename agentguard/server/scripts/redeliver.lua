-- Make a dead letter a delivery again, due now.
--
-- KEYS  1 due  2 deliveries  3 dead letters
-- ARGV  1 id  2 the dead letter as it is kept (JSON)  3 what is kept of the delivery (JSON)  4 retention_ms
-- Gives 1, or 0 where it was no dead letter any more.
--
-- Rules:
-- - both or neither: it is never in both places, and in none only after it was sent.

if redis.call('LREM', KEYS[3], 1, ARGV[2]) == 0 then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[3]) == 1 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
