-- Put signed votes of one person, each on its own request, and the answers that the tallies made of all votes: all of them, or none.
--
-- KEYS  1 pending  2 ended  3 events, then for each vote: request, votes, claim
-- ARGV  1 person  2 retention_ms  3 events_max, then for each vote:
--       id, vote (JSON), the version that was tallied, becomes: pending | approved | rejected, revision, digest
-- Gives {word, now_ms, state, id}: voted | missing | ended | changed; where nothing was put, the id of a request that stood in the way
--
-- Rules:
-- - the same vote again is the same vote, whatever happened since;
-- - only a pending request takes votes; one at or after its deadline is not pending;
-- - a vote on another revision or digest is refused;
-- - the answer holds only for the votes it was made of: another version is "changed", and nothing is written;
-- - a person has one vote on a request; a later one takes its place;
-- - all votes are put, or none.

local now = now_ms()
local person, retention_ms, events_max = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local field = 'vote:' .. person
local BECOMES = {pending = true, approved = true, rejected = true}

local function nth(index)
  local key, arg = 3 * index, 6 * index - 3
  return {
    request_key = KEYS[key + 1], votes_key = KEYS[key + 2], claim_key = KEYS[key + 3],
    id = ARGV[arg + 1], vote = ARGV[arg + 2], version = ARGV[arg + 3], becomes = ARGV[arg + 4], revision = ARGV[arg + 5], digest = ARGV[arg + 6],
  }
end

local last, to_put = 'pending', {}
for index = 1, (#KEYS - 3) / 3 do
  local cast = nth(index)
  local state, version, request = standing(now, cast.request_key, cast.votes_key, cast.claim_key)
  if not BECOMES[cast.becomes] then return redis.error_reply('ERR a vote makes a request pending, approved or rejected') end
  if state == 'missing' then return {'missing', now, state, cast.id} end
  last = state
  if redis.call('HGET', cast.votes_key, field) ~= cast.vote then
    if state ~= 'pending' then return {'ended', now, state, cast.id} end
    local as_seen = request.revision == cast.revision and request.digest == cast.digest and version == cast.version
    if not as_seen then return {'changed', now, state, cast.id} end
    cast.request = request
    table.insert(to_put, cast)
  end
end

for _, cast in ipairs(to_put) do
  redis.call('HSET', cast.votes_key, field, cast.vote)
  redis.call('HINCRBY', cast.votes_key, 'version', 1)
  redis.call('PEXPIREAT', cast.votes_key, keep_until(now, cast.request, retention_ms))
  if cast.becomes ~= 'pending' then
    redis.call('HSET', cast.votes_key, 'resolution', cast.becomes)
    leave_pending(KEYS[1], KEYS[2], now, cast.id, retention_ms)
  end
  announce(KEYS[3], events_max, now, cast.id, 'voted', cast.becomes)
  last = cast.becomes
end
return {'voted', now, last, ''}
