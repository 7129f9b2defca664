-- Keep words of one session and what its calls count, and give what the caller has not read yet, in one move.
--
-- KEYS  1 said     a string of digests, DIGEST_BYTES each, of what the user wrote; one of zeros: there was more than is kept
--       2 brought  the same of what results held
--       3 sources  a set: the tools whose results were kept
--       4 counts   a hash: tool to how often it was called
--       5 labels   a set;   6 vault  a hash (see remember.lua)
-- ARGV  1 time to live of all keys, milliseconds
--       2, 3  the most bytes of said and of brought
--       4 new digests for said, or empty
--       5 the tool whose result is kept, or empty;   6 new digests for brought
--       7 the tool to count, or empty
--       8, 9  how many bytes of said and of brought the caller has read
-- Gives {labels, counts as a flat list, said behind what was read, its length, brought behind what was read, its length, sources}
--
-- A result that is the first to be kept in a session which has labels or tokens already was not the first there: brought is then marked.

local DIGEST_BYTES = 8
local MARK = string.rep('\0', DIGEST_BYTES)
local ttl = ARGV[1]

local function append(key, most, new)
  if new == '' then return end
  local length = redis.call('STRLEN', key)
  if length + #new <= most then
    redis.call('APPEND', key, new)
  elseif length < most + DIGEST_BYTES then
    redis.call('APPEND', key, MARK)
  end
end

append(KEYS[1], tonumber(ARGV[2]), ARGV[4])
if ARGV[5] ~= '' then
  if redis.call('EXISTS', KEYS[3]) == 0 and redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then
    append(KEYS[2], tonumber(ARGV[3]), MARK)
  end
  append(KEYS[2], tonumber(ARGV[3]), ARGV[6])
  redis.call('SADD', KEYS[3], ARGV[5])
end
if ARGV[7] ~= '' then redis.call('HINCRBY', KEYS[4], ARGV[7], 1) end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ttl) end

return {
  redis.call('SMEMBERS', KEYS[5]),
  redis.call('HGETALL', KEYS[4]),
  redis.call('GETRANGE', KEYS[1], ARGV[8], -1), redis.call('STRLEN', KEYS[1]),
  redis.call('GETRANGE', KEYS[2], ARGV[9], -1), redis.call('STRLEN', KEYS[2]),
  redis.call('SMEMBERS', KEYS[3]),
}
