-- Take the delivery that is due first, for as long as one attempt may last.
--
-- KEYS  1 due  2 deliveries
-- ARGV  1 lease_ms  2 how many are looked at, at most  then places that are passed over
-- Gives {wait_ms, id, delivery}: the delivery (JSON), or "" and how long nothing will be due (-1: nothing is waiting).
--
-- Rules:
-- - nobody else gets it before the lease ends; if nobody settled it by then, it is due again;
-- - one for a place that is passed over stays as it is, for later or for another server;
-- - an id without a delivery is dropped.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = 0

local function passed_over(id)
  for index = 3, #ARGV do
    local ending = ':' .. ARGV[index]
    if string.sub(id, -#ending) == ending then return true end
  end
  return false
end

while true do
  local first = redis.call('ZRANGE', KEYS[1], at, at, 'WITHSCORES')
  if not first[1] then return {at == 0 and -1 or tonumber(ARGV[1]), '', ''} end
  local due = tonumber(first[2])
  if due > now then return {due - now, '', ''} end
  local delivery = redis.call('HGET', KEYS[2], first[1])
  if not delivery then
    redis.call('ZREM', KEYS[1], first[1])
  elseif not passed_over(first[1]) then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), first[1])
    return {0, first[1], delivery}
  else
    at = at + 1
    if at == tonumber(ARGV[2]) then return {tonumber(ARGV[1]), '', ''} end
  end
end
