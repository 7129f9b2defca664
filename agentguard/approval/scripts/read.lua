-- Read how requests stand, all at one moment.
--
-- KEYS  request, votes and claim of each
-- ARGV  1 "whole" for every request, "card" for every request without its input, "decided" for those no longer pending
-- Gives now_ms, then for each {state, version, record, mac, input, withdrawn, votes, ended_ms}, "" where there is none;
--       votes are {person, JSON}. {"missing"} for one that is not there, {"pending"} for one that is not asked for.
--
-- Rules:
-- - writes nothing;
-- - all of them stand as at one time of Redis's clock.

local now = now_ms()
local found = {now}
for first = 1, #KEYS, 3 do
  local state, version, request, _, claim = standing(now, KEYS[first], KEYS[first + 1], KEYS[first + 2])
  local one = {state}
  if state ~= 'missing' and (state ~= 'pending' or ARGV[1] ~= 'decided') then
    local sealed = fields(KEYS[first], ARGV[1] == 'card' and {'mac'} or {'mac', 'input'})
    local all, votes = redis.call('HGETALL', KEYS[first + 1]), {}
    for index = 1, #all, 2 do
      if string.sub(all[index], 1, 5) == 'vote:' then table.insert(votes, {string.sub(all[index], 6), all[index + 1]}) end
    end
    one = {state, version, request.record, sealed.mac or '', sealed.input or '', request.withdrawn or '', votes, claim.ended_ms or ''}
  end
  table.insert(found, one)
end
return found
