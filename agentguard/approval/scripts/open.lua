-- Open a request, or find the one that this very call already has.
--
-- KEYS  1 request  2 votes  3 claim  of the new id
--       4 index of the call id (ignored without one)  5 index of the digest in the session
--       6 pending  7 events
--       8 request  9 votes  10 claim  of the id that the digest's index was last seen to name (or 1-3 again)
--       11 requests of the same turn (ignored without one)
-- ARGV  1 id  2 record  3 mac  4 sealed input  5 revision  6 digest  7 digest of the model's own arguments
--       8 opened_ms  9 deadline_ms  10 redeem_by_ms  11 "1" with a call id, "" without  12 the id that 8-10 belong to, or ""
--       13 retention_ms  14 events_max  15 "1" where the call is part of a turn, "" where nobody knows
-- Gives {word, now_ms, id}: created | found | joined | reused (same call id, other arguments) | taken (id in use)
--       | look (call again with the keys of this id as 8-10) | clock (opened_ms is wrong by more than 2 s)
--
-- Rules:
-- - the same id with the same record is the same opening, once more;
-- - a call id names one call: the same arguments find its request in whatever state, other arguments are refused;
-- - another call with the same digest in the session joins the request while it is pending;
-- - where that was deferred, the call comes back for it: approved it joins it, rejected or in a run it finds it, else it asks anew;
-- - times come from Redis: who is more than 2 s off is told the time and opens nothing;
-- - a request that is past its deadline already is not opened: clock.

local COMES_BACK = {approved = 'joined', rejected = 'found', executing = 'found', unknown = 'found'}

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

local expires = whole(redeem_by + tonumber(ARGV[13]))
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
  if word then
    remember_call(other)
    return {word, now, other}
  end
end

redis.call('HSET', KEYS[1], 'record', ARGV[2], 'mac', ARGV[3], 'input', ARGV[4], 'revision', ARGV[5], 'digest', ARGV[6],
  'deadline_ms', ARGV[9], 'redeem_by_ms', ARGV[10])
redis.call('PEXPIREAT', KEYS[1], expires)
remember_call(id)
redis.call('SET', KEYS[5], id, 'PXAT', ARGV[10])
redis.call('ZADD', KEYS[6], ARGV[9], id)
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. whole(now - tonumber(ARGV[13])))
if ARGV[15] == '1' then
  redis.call('ZADD', KEYS[11], whole(now), id)
  redis.call('PEXPIREAT', KEYS[11], whole(math.max(tonumber(expires), redis.call('PEXPIRETIME', KEYS[11]))))
end
announce(KEYS[7], ARGV[14], now, id, 'opened', 'pending')
return {'created', now, id}
