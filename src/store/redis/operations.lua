-- The records of some operations of one graph.
--
-- ARGV[3]  the graph id; then the operation ids
--
-- Returns {0, record or false, ...} or {3, window}.

local ids = {}
for i = 4, #ARGV do
  ids[i - 3] = ARGV[i]
end
local records = recorded(ARGV[3], ids)
local reply = { ANSWER }
for i = 1, #ids do
  reply[i + 1] = records[i] or false
end
return reply
