-- Read how requests stand, all at one moment.
--
-- KEYS  request, votes and claim of each
-- ARGV  1 "whole" for every request, "card" for every request without its input, "decided" for those no
--         longer pending, or whose last edit is not answered
-- Gives now_ms, then for each {state, version, record, mac, input, withdrawn, votes, ended_ms, edit, "1" where it is not answered,
--       why it is refused, sealed changes}, "" where there is none;
--       votes are {person, JSON}. {"missing"} for one that is not there, {"pending"} for one that is not asked for.
--
-- Rules:
-- - writes nothing;
-- - all of them stand as at one time of Redis's clock.

local now = now_ms()
local found = {now}
for first = 1, #KEYS, 3 do
  local state, version, request, cast, claim = standing(now, KEYS[first], KEYS[first + 1], KEYS[first + 2])
  local one = {state}
  local open_edit = cast.edit and cast.edit ~= request.edit_done
  if state ~= 'missing' and (state ~= 'pending' or ARGV[1] ~= 'decided' or open_edit) then
    local sealed = fields(KEYS[first], ARGV[1] == 'card' and {'mac', 'edit_why'} or {'mac', 'edit_why', 'input', 'changes'})
    local all, votes = redis.call('HGETALL', KEYS[first + 1]), {}
    for index = 1, #all, 2 do
      if string.sub(all[index], 1, 5) == 'vote:' then table.insert(votes, {string.sub(all[index], 6), all[index + 1]}) end
    end
    one = {state, version, request.record, sealed.mac or '', sealed.input or '', request.withdrawn or '', votes, claim.ended_ms or '',
      cast.edit or '', open_edit and '1' or '', sealed.edit_why or '', sealed.changes or ''}
  end
  table.insert(found, one)
end
return found
