-- Put one person's signed vote on a request, and the answer that the tally made of all votes.
--
-- KEYS  1 request  2 votes  3 claim  4 pending  5 ended  6 events
-- ARGV  1 id  2 person  3 vote (JSON)  4 the version that was tallied  5 becomes: pending | approved | rejected
--       6 revision  7 digest  8 retention_ms  9 events_max
-- Gives {word, now_ms, state, version}: voted | missing | ended | changed
--
-- Rules:
-- - the same vote again is the same vote, whatever happened since;
-- - only a pending request takes votes; one at or after its deadline is not pending;
-- - a vote on another revision or digest is refused;
-- - the answer holds only for the votes it was made of: another version is "changed", and nothing is written;
-- - a person has one vote; a later one takes its place.

local now = now_ms()
local state, version, request = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state, version} end
if redis.call('HGET', KEYS[2], 'vote:' .. ARGV[2]) == ARGV[3] then return {'voted', now, state, version} end
if state ~= 'pending' then return {'ended', now, state, version} end
if request.revision ~= ARGV[6] or request.digest ~= ARGV[7] then return {'changed', now, state, version} end
if version ~= ARGV[4] then return {'changed', now, state, version} end
if ARGV[5] ~= 'pending' and ARGV[5] ~= 'approved' and ARGV[5] ~= 'rejected' then
  return redis.error_reply('ERR a vote makes a request pending, approved or rejected')
end

redis.call('HSET', KEYS[2], 'vote:' .. ARGV[2], ARGV[3])
local count = redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('PEXPIREAT', KEYS[2], keep_until(now, request, tonumber(ARGV[8])))
if ARGV[5] ~= 'pending' then
  redis.call('HSET', KEYS[2], 'resolution', ARGV[5])
  leave_pending(KEYS[4], KEYS[5], now, ARGV[1], tonumber(ARGV[8]))
end
announce(KEYS[6], ARGV[9], now, ARGV[1], 'voted', ARGV[5])
return {'voted', now, ARGV[5], request.revision .. '.' .. count}
