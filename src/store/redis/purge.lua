-- Removes a graph with everything that belongs to it alone, if its head is the expected one. Everything that can fail
-- comes before the first write.
--
-- KEYS[1]  the feed
-- KEYS[2]  the partition's graphs
-- KEYS[3]  what is left of purged graphs
-- KEYS[4]  graphs that are being purged
-- KEYS[5]  graphs that can't be projected
-- KEYS[6]  the rows of the catalog by graph, the members of each graph in the indexes, and the indexes by change, creation,
--          title and id; then the graphs in the trash
-- KEYS[13] the keys of the graph, its commits first
-- ARGV[1]  the graph id
-- ARGV[2]  the expected version and hash
-- ARGV[4]  under which it is remembered as the last one of its name, and under which by its purge
-- ARGV[6]  what is remembered beside the place in the feed
-- ARGV[7]  the channel of those who follow the graph
-- ARGV[8]  what a message on it begins with
--
-- Returns {0}, or {1} if its head is another one.

local FIRST = 13
local graph = ARGV[1]
local last = redis.call('XREVRANGE', KEYS[FIRST], '+', '-', 'COUNT', 1)[1]
if not last or string.match(last[1], '^%d+') ~= ARGV[2] or last[2][2] ~= ARGV[3] then
  return { 1 }
end
redis.call('XLEN', KEYS[1])
redis.call('ZCARD', KEYS[2])
for i = 3, 6 do
  redis.call('HLEN', KEYS[i])
end
for i = 8, 12 do
  redis.call('ZCARD', KEYS[i])
end
local members = redis.call('HMGET', KEYS[7], '1:' .. graph, '2:' .. graph, '3:' .. graph)

for i = FIRST, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
local place = redis.call('XADD', KEYS[1], '*', 'graph', graph, 'purged', ARGV[2], 'hash', ARGV[3])
redis.call('ZREM', KEYS[2], graph)
local remembered = ARGV[6] .. ' ' .. place
redis.call('HSET', KEYS[3], ARGV[4], remembered, ARGV[5], remembered)
redis.call('HSET', KEYS[4], graph, place)
redis.call('HDEL', KEYS[5], graph)
redis.call('HDEL', KEYS[6], graph)
for i = 1, 3 do
  if members[i] then
    redis.call('ZREM', KEYS[7 + i], members[i])
    redis.call('HDEL', KEYS[7], i .. ':' .. graph)
  end
end
redis.call('ZREM', KEYS[11], '\0' .. graph)
redis.call('ZREM', KEYS[12], graph)

-- Last, and never an error: those who follow it compare heads.
redis.pcall('SPUBLISH', ARGV[7], ARGV[8] .. 'H' .. string.rep('\0', 32) .. '0')
return { 0 }
