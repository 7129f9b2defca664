-- Take the delivery that is due first, for as long as one attempt may last.
--
-- KEYS  1 due  2 deliveries
-- ARGV  1 lease_ms
-- Gives {wait_ms, id, delivery}: the delivery (JSON), or "" and how long nothing will be due (-1: nothing is waiting).
--
-- Rules:
-- - nobody else gets it before the lease ends; if nobody settled it by then, it is due again;
-- - an id without a delivery is dropped.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
while true do
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if not first[1] then return {-1, '', ''} end
  local due = tonumber(first[2])
  if due > now then return {due - now, '', ''} end
  local delivery = redis.call('HGET', KEYS[2], first[1])
  if delivery then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), first[1])
    return {0, first[1], delivery}
  end
  redis.call('ZREM', KEYS[1], first[1])
end
