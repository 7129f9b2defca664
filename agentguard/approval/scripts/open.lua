-- Open a request, or find the one that this very call already has.
--
-- KEYS  1 request  2 votes  3 claim  of the new id
--       4 index of the call id (ignored without one)  5 index of the digest in the session
--       6 pending  7 events
--       8 request  9 votes  10 claim  of the id that the digest's index was last seen to name (or 1-3 again)
--       11 requests of the same turn (ignored without one)
--       12 ended  13 requests of the agent that wait  14 those it opened in the last minute  15 that it is paused
--       16 steps
-- ARGV  1 id  2 record  3 mac  4 sealed input  5 revision  6 digest  7 digest of the model's own arguments
--       8 opened_ms  9 deadline_ms  10 redeem_by_ms  11 "1" with a call id, "" without  12 the id that 8-10 belong to, or ""
--       13 retention_ms  14 events_max  15 "1" where the call is part of a turn, "" where nobody knows
--       16 how many of the agent's requests may wait  17 how many it may open in a minute (each "": any number)  18 pause_ms  19 after_rejection_ms
--       20 when people are first to be reminded, or more may decide, or "" for never
-- Gives {word, now_ms, id}: created | found | joined | reused (same call id, other arguments) | taken (id in use)
--       | look (call again with the keys of this id as 8-10) | clock (opened_ms is wrong by more than 2 s)
--       | crowded (too many wait) | paused (it asked too often; the third value is until when, in ms)
--
-- Rules:
-- - the same id with the same record is the same opening, once more;
-- - a call id names one call: the same arguments find its request in whatever state, other arguments are refused;
-- - another call with the same digest in the session joins the request while it is pending;
-- - where that was deferred, the call comes back for it: approved it joins it, rejected or in a run it finds it, else it asks anew;
-- - another call with the same digest that a person rejected finds that rejection for as long as after_rejection_ms says;
-- - only what opens a new request counts as a question, and only what waits counts as waiting;
-- - an agent whose requests would be too many, waiting or in a minute, opens none; after too many in a minute it is paused;
-- - times come from Redis: who is more than 2 s off is told the time and opens nothing;
-- - a request that is past its deadline already is not opened: clock.

local COMES_BACK = {approved = 'joined', rejected = 'found', executing = 'found', unknown = 'found'}
local MINUTE_MS = 60000
local SOME = 500

local now = now_ms()
local id = ARGV[1]
local with_call = ARGV[11] == '1'

local known = redis.call('HGET', KEYS[1], 'record')
if known then return {known == ARGV[2] and 'created' or 'taken', now, id} end

if with_call then
  local call = fields(KEYS[4], {'id', 'model_digest'})
  if call.id then return {call.model_digest == ARGV[7] and 'found' or 'reused', now, call.id} end
end

local opened, deadline, redeem_by = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
if math.abs(now - opened) > 2000 or deadline <= now or redeem_by < deadline then return {'clock', now, id} end

local pause, after_rejection = tonumber(ARGV[18]), tonumber(ARGV[19])
local expires = whole(redeem_by + tonumber(ARGV[13]))

local function is_just_rejected(state, named, request)
  if state ~= 'rejected' then return false end
  local at = tonumber(redis.call('ZSCORE', KEYS[12], named) or request.deadline_ms) or now
  return now < at + after_rejection
end

-- Which of the agent's requests that may be waiting are over, where so many may wait that it matters; and how many wait.
local function over_and_waiting(most)
  local count = redis.call('ZCOUNT', KEYS[13], '(' .. whole(now), '+inf')
  if count < most then return {}, count end
  local known = redis.call('ZRANGEBYSCORE', KEYS[13], '(' .. whole(now), '+inf')
  local over = {}
  for first = 1, #known, SOME do
    local some = {unpack(known, first, math.min(first + SOME - 1, #known))}
    for index, deadline in ipairs(redis.call('ZMSCORE', KEYS[6], unpack(some))) do
      if not deadline then over[#over + 1] = some[index] end
    end
  end
  return over, #known - #over
end

-- Why the agent may not ask now: the reply that says so, or nothing. Nothing is taken away here: a script that has written before is
-- let write on by a server whose memory is full.
local over = {}
local function too_much()
  local paused = redis.call('GET', KEYS[15])
  if paused then return {'paused', now, paused} end
  if ARGV[17] ~= '' and redis.call('ZCOUNT', KEYS[14], '(' .. whole(now - MINUTE_MS), '+inf') >= tonumber(ARGV[17]) then
    redis.call('SET', KEYS[15], whole(now + pause), 'PX', whole(pause))
    return {'paused', now, whole(now + pause)}
  end
  if ARGV[16] ~= '' then
    local count
    over, count = over_and_waiting(tonumber(ARGV[16]))
    if count >= tonumber(ARGV[16]) then return {'crowded', now, id} end
  end
end

local function remember_call(named)
  if with_call then
    redis.call('HSET', KEYS[4], 'id', named, 'model_digest', ARGV[7])
    redis.call('PEXPIREAT', KEYS[4], expires)
  end
end

local other = redis.call('GET', KEYS[5])
if other and other ~= ARGV[12] then return {'look', now, other} end
if other then
  local state, _, request = standing(now, KEYS[8], KEYS[9], KEYS[10])
  local word = state == 'pending' and 'joined' or request.deferred and COMES_BACK[state]
    or is_just_rejected(state, other, request) and 'found'
  if word then
    remember_call(other)
    return {word, now, other}
  end
end

local refused = too_much()
if refused then return refused end

redis.call('HSET', KEYS[1], 'record', ARGV[2], 'mac', ARGV[3], 'input', ARGV[4], 'revision', ARGV[5], 'digest', ARGV[6],
  'deadline_ms', ARGV[9], 'redeem_by_ms', ARGV[10])
redis.call('PEXPIREAT', KEYS[1], expires)
remember_call(id)
redis.call('SET', KEYS[5], id, 'PXAT', whole(math.max(redeem_by, deadline + after_rejection)))
redis.call('ZADD', KEYS[6], ARGV[9], id)
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. whole(now - tonumber(ARGV[13])))
if ARGV[15] == '1' then
  redis.call('ZADD', KEYS[11], whole(now), id)
  redis.call('PEXPIREAT', KEYS[11], whole(math.max(tonumber(expires), redis.call('PEXPIRETIME', KEYS[11]))))
end
if ARGV[16] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[13], '-inf', whole(now))
  for first = 1, #over, SOME do
    redis.call('ZREM', KEYS[13], unpack(over, first, math.min(first + SOME - 1, #over)))
  end
  redis.call('ZADD', KEYS[13], ARGV[9], id)
  redis.call('PEXPIREAT', KEYS[13], expires)
end
if ARGV[17] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[14], '-inf', whole(now - MINUTE_MS))
  redis.call('ZADD', KEYS[14], whole(now), id)
  redis.call('PEXPIRE', KEYS[14], MINUTE_MS)
end
if ARGV[20] ~= '' then redis.call('ZADD', KEYS[16], ARGV[20], id) end
announce(KEYS[7], ARGV[14], now, id, 'opened', 'pending')
return {'created', now, id}
