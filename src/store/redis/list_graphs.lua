-- Lists graphs of one partition in the order of an index, each with its row of the catalog.
--
-- KEYS[1]  the index: members `<key>\0<graph>`, all of one score
-- KEYS[2]  the rows, by graph
-- ARGV[1]  '1' for the other direction
-- ARGV[2]  from which bound, as ZRANGEBYLEX takes it; of the other direction as ZREVRANGEBYLEX does
-- ARGV[3]  to which bound
-- ARGV[4]  how many at most
--
-- Returns how many there are, then for each its member and its row.

local command = ARGV[1] == '1' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
local members = redis.call(command, KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local found = { 0 }
for _, member in ipairs(members) do
  local graph = string.match(member, '%z(.*)$')
  local row = graph and redis.call('HGET', KEYS[2], graph)
  if row then
    found[1] = found[1] + 1
    found[#found + 1] = member
    found[#found + 1] = row
  end
end
return found
