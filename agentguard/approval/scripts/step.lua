-- Say that people are reminded, or that more may decide now: once, at its time, by whichever process comes first.
--
-- KEYS  1 request  2 votes  3 claim  4 steps  5 events
-- ARGV  1 id  2 when its next step was due, as the caller saw it  3 when the one after is, or "" for none
--       4 what to say: reminded | escalated, or "" for nothing  5 events_max
-- Gives {word, now_ms, state}: told | missing | ended | changed (not due yet, or somebody else was first)
--
-- Rules:
-- - a step is taken at its time and not before, and its time moves on in the same move: who comes second finds another one;
-- - a request that is no longer pending has no more steps.

local now = now_ms()
local state = standing(now, KEYS[1], KEYS[2], KEYS[3])
local due = redis.call('ZSCORE', KEYS[4], ARGV[1])
if not due or tonumber(due) ~= tonumber(ARGV[2]) or now < tonumber(due) then return {'changed', now, state} end
if state ~= 'pending' then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return {state == 'missing' and 'missing' or 'ended', now, state}
end
if ARGV[3] == '' then redis.call('ZREM', KEYS[4], ARGV[1]) else redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1]) end
if ARGV[4] ~= '' then announce(KEYS[5], ARGV[5], now, ARGV[1], ARGV[4], 'pending') end
return {'told', now, state}
