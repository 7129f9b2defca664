-- Keep new tokens and labels of one session, in one move.
--
-- KEYS[1]  vault   a hash: "v:" .. token text = 16 bytes of HMAC over the value, then the sealed value;
--                          "o:" .. token text = the tools that it came from, one a line;
--                          "s" = whose session it is, sealed
-- KEYS[2]  labels  a set
-- ARGV[1]  time to live of both keys, milliseconds
-- ARGV[2]  whose session it is, sealed
-- ARGV[3]  origin of these tokens (a tool's name), or empty
-- ARGV[4]  how many labels follow
-- ARGV[5...]  the labels; then for each token three values:
--             its text; its HMAC under each key, newest first, 16 bytes each; its sealed value
--
-- Gives, for each token, its origins, one a line; or false where the entry there is another value's, which stays as it is.

local ttl, owner, origin, labels = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local MAC_BYTES = 16

local function is_one_of(mac, macs)
  for first = 1, #macs, MAC_BYTES do
    if string.sub(macs, first, first + MAC_BYTES - 1) == mac then
      return true
    end
  end
  return false
end

local function with_origin(text)
  local origins = redis.call('HGET', KEYS[1], 'o:' .. text) or ''
  if origin == '' or string.find('\n' .. origins .. '\n', '\n' .. origin .. '\n', 1, true) then
    return origins
  end
  origins = origins == '' and origin or origins .. '\n' .. origin
  redis.call('HSET', KEYS[1], 'o:' .. text, origins)
  return origins
end

local function keep(text, macs, sealed)
  local stored = redis.call('HGET', KEYS[1], 'v:' .. text)
  if not stored then
    redis.call('HSET', KEYS[1], 'v:' .. text, string.sub(macs, 1, MAC_BYTES) .. sealed)
  elseif not is_one_of(string.sub(stored, 1, MAC_BYTES), macs) then
    return false
  elseif string.sub(stored, 1, MAC_BYTES) ~= string.sub(macs, 1, MAC_BYTES) then
    redis.call('HSET', KEYS[1], 'v:' .. text, string.sub(macs, 1, MAC_BYTES) .. sealed)
  end
  return with_origin(text)
end

for index = 1, labels do
  redis.call('SADD', KEYS[2], ARGV[4 + index])
end

local kept = {}
if #ARGV > 4 + labels then
  redis.call('HSETNX', KEYS[1], 's', owner)
end
for first = 5 + labels, #ARGV, 3 do
  kept[#kept + 1] = keep(ARGV[first], ARGV[first + 1], ARGV[first + 2])
end

redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
return kept
