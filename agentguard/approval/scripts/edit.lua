-- Put a person's signed change of the arguments, for the agent's side to look at.
--
-- KEYS  1 request  2 votes  3 claim  4 events
-- ARGV  1 id  2 edit (JSON)  3 revision  4 digest  5 retention_ms  6 events_max
-- Gives {word, now_ms, state}: proposed | missing | ended | changed
--
-- Rules:
-- - only a pending request is edited, and only the revision and call that the person saw;
-- - the same edit again is the same edit; a later one takes the place of one that the agent's side has not looked at;
-- - nothing of the request itself changes here: the agent's side writes the next revision.

local now = now_ms()
local state, _, request, votes = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if votes.edit == ARGV[2] then return {'proposed', now, state} end
if state ~= 'pending' then return {'ended', now, state} end
if request.revision ~= ARGV[3] or request.digest ~= ARGV[4] then return {'changed', now, state} end

redis.call('HSET', KEYS[2], 'edit', ARGV[2])
redis.call('PEXPIREAT', KEYS[2], keep_until(now, request, tonumber(ARGV[5])))
announce(KEYS[4], ARGV[6], now, ARGV[1], 'edited', 'pending')
return {'proposed', now, state}
