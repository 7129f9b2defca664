-- Count the subjects that a result would show, or none of them where a limit has no room for all.
--
-- KEYS  for each limit two: its subjects, a sorted set by the time each was last seen; the mark of this very call
-- ARGV  for each limit five and more: if_over: refuse | ask | take;  the most;  window_ms, 0 for no end;
--       keep_ms, the time to live of both keys;  how many subjects follow, and these
-- Gives {word, index...}: counted | withheld, and which limits have no room
--
-- Rules:
-- - a subject that was seen in the window takes no more room;
-- - one limit without room, and not "take": nothing is counted, and the result must not be handed out; with "ask" the call is
--   marked, so that people are asked before it runs again;
-- - "take" counts as many as there is room for: a full limit stays full.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function whole(number) return string.format('%.0f', number) end

local limits, over, word, at = {}, {}, 'counted', 1
for index = 1, #KEYS / 2 do
  local key = KEYS[2 * index - 1]
  local limit = {key = key, mark = KEYS[2 * index], if_over = ARGV[at], most = tonumber(ARGV[at + 1]), keep = ARGV[at + 3]}
  local window, count = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4])
  limit.first, limit.last = at + 5, at + 4 + count
  at = limit.last + 1
  if window > 0 then redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now - window)) end
  limit.room = limit.most - redis.call('ZCARD', key)
  local new = 0
  for each = limit.first, limit.last do
    if not redis.call('ZSCORE', key, ARGV[each]) then new = new + 1 end
  end
  limits[index] = limit
  if new > limit.room then
    over[#over + 1] = index
    limit.over = true
    if limit.if_over ~= 'take' then word = 'withheld' end
  end
end

for _, limit in ipairs(limits) do
  if word == 'withheld' then
    if limit.over and limit.if_over == 'ask' then redis.call('SET', limit.mark, '1', 'PX', limit.keep) end
  else
    for each = limit.first, limit.last do
      local known = redis.call('ZSCORE', limit.key, ARGV[each])
      if known or limit.room > 0 then
        redis.call('ZADD', limit.key, whole(now), ARGV[each])
        if not known then limit.room = limit.room - 1 end
      end
    end
    if limit.last >= limit.first then redis.call('PEXPIRE', limit.key, limit.keep) end
  end
end
return {word, unpack(over)}
