-- Say how the deeds of one call ended.
--
-- KEYS  1 undone  then for each deed its hash
-- ARGV  1 fence  2 outcome: done | failed | unknown | nothing (the call did not run)  3 retention_ms  then for each deed its id
-- Gives {word, now_ms}: ended
--
-- Rules:
-- - only the fence that began a deed ends it, and the first end stays;
-- - a call that did not run leaves no trace of its deeds;
-- - what failed may have happened all the same: only "done" leaves the index of what a person may have to settle.

local now = now_ms()
for index = 2, #KEYS do
  local deed = fields(KEYS[index], {'fence', 'outcome'})
  if deed.fence == ARGV[1] and not deed.outcome then
    if ARGV[2] == 'nothing' then
      redis.call('HDEL', KEYS[index], 'fence', 'record', 'until_ms')
    elseif not ENDS[ARGV[2]] then
      return redis.error_reply('ERR a deed ends as done, failed, unknown or nothing')
    else
      redis.call('HSET', KEYS[index], 'outcome', ARGV[2])
      redis.call('PEXPIRE', KEYS[index], ARGV[3])
    end
    if ARGV[2] == 'nothing' or ARGV[2] == 'done' then redis.call('ZREM', KEYS[1], ARGV[index + 2]) end
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. whole(now - tonumber(ARGV[3])))
return {'ended', now}
