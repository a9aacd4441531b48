-- Removes the rows of a graph that has no commits, and takes it off the lists.
--
-- KEYS[1]  the rows of the catalog by graph, the members of each graph in the indexes, and the indexes by change, creation,
--          title and id; then the graphs in the trash
-- KEYS[8]  the keys of the graph, its commits first
-- ARGV[1]  the graph id
--
-- Returns {1} if it did, {0} if the graph has commits.

local FIRST = 8
local graph = ARGV[1]
if redis.call('XLEN', KEYS[FIRST]) > 0 then
  return { 0 }
end
redis.call('HLEN', KEYS[1])
for i = 3, 7 do
  redis.call('ZCARD', KEYS[i])
end
local members = redis.call('HMGET', KEYS[2], '1:' .. graph, '2:' .. graph, '3:' .. graph)
-- What comes after its commits are its refused operations, which it can have without commits.
for i = FIRST + 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
redis.call('HDEL', KEYS[1], graph)
for i = 1, 3 do
  if members[i] then
    redis.call('ZREM', KEYS[2 + i], members[i])
    redis.call('HDEL', KEYS[2], i .. ':' .. graph)
  end
end
redis.call('ZREM', KEYS[6], '\0' .. graph)
redis.call('ZREM', KEYS[7], graph)
return { 1 }
