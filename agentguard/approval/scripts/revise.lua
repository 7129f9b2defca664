-- Answer a person's edit: write the next revision, or say why there is none.
--
-- KEYS  1 request  2 votes  3 claim  4 events  5 steps
-- ARGV  1 id  2 the edit that was looked at (JSON)  3 the revision that it was looked at on  4 why it is refused, or ""
--       5 record  6 mac  7 sealed input  8 revision  9 digest  10 sealed changes (5-10 are ignored where it is refused)  11 events_max
--       12 when people are next to be reminded of the next revision, or more may decide, or "" for never (ignored where it is refused)
-- Gives {word, now_ms, state}: revised | missing | ended | changed
--
-- Rules:
-- - only a pending request, at the revision and with the edit that were looked at;
-- - the next revision takes the place of the record, which is kept beside it with its input;
-- - votes bind a revision, so those on earlier ones count no more; no deadline moves;
-- - the same answer again is the same answer.

local now = now_ms()
local state, _, request, votes = standing(now, KEYS[1], KEYS[2], KEYS[3])
if state == 'missing' then return {'missing', now, state} end
if request.edit_done == ARGV[2] then return {'revised', now, state} end
if state ~= 'pending' then return {'ended', now, state} end
if votes.edit ~= ARGV[2] or request.revision ~= ARGV[3] then return {'changed', now, state} end

redis.call('HSET', KEYS[1], 'edit_done', ARGV[2], 'edit_why', ARGV[4])
if ARGV[4] == '' then
  local input = redis.call('HGET', KEYS[1], 'input') or ''
  redis.call('HSET', KEYS[1], 'record.' .. request.revision, request.record, 'input.' .. request.revision, input)
  redis.call('HSET', KEYS[1], 'record', ARGV[5], 'mac', ARGV[6], 'input', ARGV[7], 'revision', ARGV[8], 'digest', ARGV[9], 'changes', ARGV[10])
  if ARGV[12] == '' then redis.call('ZREM', KEYS[5], ARGV[1]) else redis.call('ZADD', KEYS[5], ARGV[12], ARGV[1]) end
end
announce(KEYS[4], ARGV[11], now, ARGV[1], 'revised', 'pending')
return {'revised', now, state}
