-- Count one call of a caller, if their pace allows it (the generic cell rate algorithm: one time says it all).
--
-- KEYS  1 the time, in ms and on Redis's clock, until which the caller's bucket would need to fill up again
-- ARGV  1 milliseconds that one call takes to be refilled  2 calls that are allowed at once
-- Gives 0, or for how many milliseconds the caller must wait.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local each, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1])) or now) + each
local wait = full - now - each * burst
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.max(1, math.ceil(full - now)))
return 0
