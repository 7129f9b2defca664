-- Charge one call to its limits, or hold what it would take while people are asked. All limits in one move.
--
-- KEYS  for each limit two:
--       what it counted: amounts  a hash: "b:" .. time the bucket ends = amount; "h:" .. hold = time it lapses, amount
--                        subjects a sorted set by the time each was last seen
--       the mark of this very call, there once its result was withheld (subjects only)
-- ARGV  1 hold  2 goal: hold | spend  3 lease_ms of a hold; then for each limit nine:
--       what is counted: amounts | subjects;  if_over: refuse | ask | take
--       whole and nano of the amount;  whole and nano of the most
--       window_ms, 0 for no end;  bucket_ms;  keep_ms, the time to live of the key
-- Gives {word, index...}: spent | held | refused, and which limits the call would go over
--
-- Rules:
-- - a call goes over a limit if what was spent in the window, what others hold and its own amount are more than the most;
-- - a call goes over a limit on subjects that has no room for one more, or that withheld this very call's result before;
-- - one limit over with "refuse": nothing is charged, and a hold of this call is given back;
-- - one over with "ask": nothing is spent; what it takes from the limits that have room, or say "take", is held;
-- - a bucket counts until the whole of it is older than the window, so a window is never shorter than it says;
-- - a hold that was not renewed in time counts for nothing.

local NANO, LARGEST, FIELDS = 1000000000, 1000000000000000, 9

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local hold, goal, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function whole(number) return string.format('%.0f', number) end

local function plus(one, other)
  local nano = one[2] + other[2]
  local carry = nano >= NANO and 1 or 0
  return {math.min(one[1] + other[1] + carry, LARGEST), nano - carry * NANO}
end

local function is_more(one, other)
  return one[1] > other[1] or (one[1] == other[1] and one[2] > other[2])
end

local function written(amount) return whole(amount[1]) .. ':' .. whole(amount[2]) end

-- The last two numbers of a field are an amount.
local function amount_in(text)
  local units, nano = string.match(text, '(%d+):(%d+)$')
  return {tonumber(units), tonumber(nano)}
end

local function limit_at(index)
  local first = 4 + (index - 1) * FIELDS
  return {
    key = KEYS[2 * index - 1], mark = KEYS[2 * index],
    kind = ARGV[first], if_over = ARGV[first + 1],
    amount = {tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])},
    most = {tonumber(ARGV[first + 4]), tonumber(ARGV[first + 5])},
    window = tonumber(ARGV[first + 6]), bucket = tonumber(ARGV[first + 7]), keep = ARGV[first + 8],
  }
end

local function has_lapsed(limit, name, text)
  if string.sub(name, 1, 2) == 'h:' then return tonumber(string.match(text, '^(%d+):')) <= now end
  return limit.window > 0 and tonumber(string.sub(name, 3)) <= now - limit.window
end

-- What counts now against a limit on amounts; what lapsed is removed.
local function used(limit)
  local total, fields = {0, 0}, redis.call('HGETALL', limit.key)
  for at = 1, #fields, 2 do
    local name, text = fields[at], fields[at + 1]
    if has_lapsed(limit, name, text) then
      redis.call('HDEL', limit.key, name)
    elseif name ~= 'h:' .. hold then
      total = plus(total, amount_in(text))
    end
  end
  return total
end

local function is_over(limit)
  if limit.kind == 'amounts' then
    return is_more(plus(used(limit), limit.amount), limit.most)
  end
  if limit.window > 0 then
    redis.call('ZREMRANGEBYSCORE', limit.key, '-inf', whole(now - limit.window))
  end
  return redis.call('ZCARD', limit.key) >= limit.most[1] or redis.call('EXISTS', limit.mark) == 1
end

local function give_back(limit)
  if limit.kind == 'amounts' then redis.call('HDEL', limit.key, 'h:' .. hold) end
end

local function take(limit, word)
  if limit.kind ~= 'amounts' then return end
  if word == 'held' then
    redis.call('HSET', limit.key, 'h:' .. hold, whole(now + lease) .. ':' .. written(limit.amount))
  else
    local bucket = limit.window == 0 and 'b:0' or 'b:' .. whole((math.floor(now / limit.bucket) + 1) * limit.bucket)
    local there = redis.call('HGET', limit.key, bucket)
    redis.call('HSET', limit.key, bucket, written(plus(there and amount_in(there) or {0, 0}, limit.amount)))
    give_back(limit)
  end
  redis.call('PEXPIRE', limit.key, limit.keep)
end

local limits, over, word = {}, {}, goal == 'spend' and 'spent' or 'held'
for index = 1, #KEYS / 2 do
  local limit = limit_at(index)
  limit.over = is_over(limit)
  limits[index] = limit
  if limit.over then
    over[#over + 1] = index
    if limit.if_over == 'refuse' then
      word = 'refused'
    elseif limit.if_over == 'ask' and word ~= 'refused' then
      word = 'held'
    end
  end
end

for _, limit in ipairs(limits) do
  if word == 'refused' or (limit.over and limit.if_over == 'ask') then
    give_back(limit)
  else
    take(limit, word)
  end
end
return {word, unpack(over)}
