-- The keys and arguments of a move, which come as: a count, that many keys, then the arguments (see moves.py for why).

local KEYS, ARGV = (function(given)
  local count, keys, args = tonumber(given[1]), {}, {}
  for index = 2, #given do
    if index <= count + 1 then table.insert(keys, given[index]) else table.insert(args, given[index]) end
  end
  return keys, args
end)(ARGV)

