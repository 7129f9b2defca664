-- Put values that an older key sealed in anew, where nobody changed or erased them meanwhile.
--
-- KEYS[1]  vault
-- ARGV     for each token three values: its text; its entry as it was read; its entry sealed anew
-- Gives how many were put in

local done = 0
for first = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], 'v:' .. ARGV[first]) == ARGV[first + 1] then
    redis.call('HSET', KEYS[1], 'v:' .. ARGV[first], ARGV[first + 2])
    done = done + 1
  end
end
return done
