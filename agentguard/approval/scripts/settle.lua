-- Put a person's signed word on a run that may have happened.
--
-- KEYS  1 the claim or deed that holds the run's fence  2 settled  3 undone  4 events
-- ARGV  1 id of the request or deed  2 fence  3 settlement (JSON)  4 retention_ms  5 events_max
-- Gives {word, now_ms, state}: settled | missing | executing | ended (the run's end is known) | differs (another word is on record)
--
-- Rules:
-- - only a run that held its fence and may have happened: not one that still runs, nor one that is known to be done;
-- - the same word again is the same word; a run is settled once.

local now = now_ms()
local run = fields(KEYS[1], {'fence', 'until_ms', 'outcome'})
if run.fence ~= ARGV[2] then return {'missing', now, ''} end
local before = redis.call('GET', KEYS[2])
if before then return {before == ARGV[3] and 'settled' or 'differs', now, ''} end
if run.outcome == 'done' then return {'ended', now, 'done'} end
if not run.outcome and now < (tonumber(run.until_ms) or 0) then return {'executing', now, 'executing'} end

redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[1])
announce(KEYS[4], ARGV[5], now, ARGV[1], 'settled', 'unknown')
return {'settled', now, 'unknown'}
