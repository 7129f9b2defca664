-- End a freeze by a second person's signed word.
--
-- KEYS  1 freezes  2 lift of this freeze
-- ARGV  1 field: scope:name  2 freeze (JSON)  3 lift (JSON)  4 retention_ms
-- Gives {word, now_ms}: lifted | missing
--
-- Rules:
-- - only the very order that the word is on;
-- - the word is kept beside it: whoever saw the freeze goes on only with a lift that verifies.

local now = now_ms()
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return {redis.call('GET', KEYS[2]) == ARGV[3] and 'lifted' or 'missing', now}
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
return {'lifted', now}
