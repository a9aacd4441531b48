-- Notes in one part of the index that a graph uses operation ids.
--
-- KEYS[1..4]  the windows of the part of the index
-- ARGV[3]     the graph id; then the operation ids
--
-- Returns {0} or {3, window}.

local ids = {}
for i = 4, #ARGV do
  ids[i - 3] = ARGV[i]
end
index(KEYS[CURRENT], KEYS[STALE], ARGV[3], ids)
return { ANSWER }
