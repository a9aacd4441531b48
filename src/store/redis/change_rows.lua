-- Changes the rows of one projection of one graph, if they are true of what the writer names.
--
-- KEYS[1]  the rows, with `version`, `hash` and `format` among them
-- KEYS[2]  if the graph is to be listed: the rows of the catalog by graph, the members of each graph in the indexes, the
--          indexes by change, creation, title and id, and the graphs in the trash
-- ARGV[1]  version, hash and format they must be true of; three empty strings where there are none
-- ARGV[4]  version, hash and format they are true of afterwards
-- ARGV[7]  '1' if all rows that are not given here go
-- ARGV[8]  how many rows are written; then for each its key and bytes; then the keys of those that go
--          at the end, if the graph is to be listed: its id, its row, its keys in the first three indexes, and from when on
--          it may be purged, or ''
--
-- Returns {1}, or {0} if they are true of something else.

local CHUNK = 2000 -- well below what unpack takes

local at = redis.call('HMGET', KEYS[1], 'version', 'hash', 'format')
for i = 1, 3 do
  if (at[i] or '') ~= ARGV[i] then
    return { 0 }
  end
end
-- These fail if a key is something else than it should be, while nothing is written yet.
local is_listed, members = #KEYS > 1, nil
if is_listed then
  local graph = ARGV[#ARGV - 5]
  redis.call('HLEN', KEYS[2])
  members = redis.call('HMGET', KEYS[3], '1:' .. graph, '2:' .. graph, '3:' .. graph)
  for i = 4, 8 do
    redis.call('ZCARD', KEYS[i])
  end
end
if ARGV[7] == '1' then
  redis.call('UNLINK', KEYS[1])
end
local written = 8 + 2 * tonumber(ARGV[8])
for from = 9, written, CHUNK do
  redis.call('HSET', KEYS[1], unpack(ARGV, from, math.min(from + CHUNK - 1, written)))
end
local last = #ARGV - (is_listed and 6 or 0)
for from = written + 1, last, CHUNK do
  redis.call('HDEL', KEYS[1], unpack(ARGV, from, math.min(from + CHUNK - 1, last)))
end
redis.call('HSET', KEYS[1], 'version', ARGV[4], 'hash', ARGV[5], 'format', ARGV[6])
if is_listed then
  local graph, purge = ARGV[last + 1], ARGV[last + 6]
  redis.call('HSET', KEYS[2], graph, ARGV[last + 2])
  for i = 1, 3 do
    local member = ARGV[last + 2 + i] .. '\0' .. graph
    if members[i] ~= member then
      if members[i] then
        redis.call('ZREM', KEYS[3 + i], members[i])
      end
      redis.call('ZADD', KEYS[3 + i], 0, member)
      redis.call('HSET', KEYS[3], i .. ':' .. graph, member)
    end
  end
  redis.call('ZADD', KEYS[7], 0, '\0' .. graph)
  if purge == '' then
    redis.call('ZREM', KEYS[8], graph)
  else
    redis.call('ZADD', KEYS[8], purge, graph)
  end
end
return { 1 }
