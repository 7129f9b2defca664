-- Begin the deeds of one call: each may be done once.
--
-- KEYS  1 undone  then for each deed its hash
-- ARGV  1 fence  2 record of the attempt (JSON)  3 lease_ms  4 retention_ms
--       then for each deed  its id, and the fence of an attempt of which a person verifiably said that it did not happen, or ""
-- Gives {word, now_ms, index, fence, record, outcome}: begun | taken (index: which deed stands in the way, from 1)
--
-- A deed is a hash of the agent's side: fence, record, until_ms, outcome (done | failed | unknown).
--
-- Rules:
-- - all deeds of a call begin, or none does;
-- - the same fence again is the same beginning, and renews its lease;
-- - a deed that another fence began stands in the way, however that attempt ended;
-- - only the very attempt of which a person said that it did not happen gives way.

local now = now_ms()
local fence = ARGV[1]
for index = 2, #KEYS do
  local deed = fields(KEYS[index], {'fence', 'record', 'outcome'})
  local free = not deed.fence or deed.fence == fence or (deed.fence == ARGV[2 * index + 2] and deed.outcome ~= 'done')
  if not free then return {'taken', now, index - 1, deed.fence, deed.record or '', deed.outcome or ''} end
end

for index = 2, #KEYS do
  if redis.call('HGET', KEYS[index], 'fence') ~= fence then
    redis.call('HSET', KEYS[index], 'fence', fence, 'record', ARGV[2]) -- first, so that a full server refuses the whole move
    redis.call('HDEL', KEYS[index], 'outcome')
    redis.call('ZADD', KEYS[1], whole(now), ARGV[2 * index + 1])
  end
  redis.call('HSET', KEYS[index], 'until_ms', whole(now + tonumber(ARGV[3])))
  redis.call('PEXPIRE', KEYS[index], ARGV[4])
end
return {'begun', now, 0, fence, ARGV[2], ''}
