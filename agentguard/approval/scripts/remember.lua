-- Note that a request was approved with a grant, so that later calls find it.
--
-- KEYS  1 grants of the caller and tool  2 grants of the tenant
-- ARGV  1 id of the request  2 until_ms
-- Gives {word, now_ms}: noted
--
-- Rules:
-- - an index only: what a grant covers, and whether it counts, is worked out from the request and its signed votes at each use;
-- - what is over is forgotten.

local now = now_ms()
for index = 1, 2 do
  redis.call('ZADD', KEYS[index], ARGV[2], ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[index], '-inf', whole(now))
  local last = redis.call('ZREVRANGE', KEYS[index], 0, 0, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', KEYS[index], whole(tonumber(last[2]))) end
end
return {'noted', now}
