-- The graphs that have a record of one operation, in all partitions: for a Redis where one script can touch all keys.
--
-- KEYS[1..4]  the operation windows of the first partition
-- ARGV[3]     the operation id
-- ARGV[4]     how many partitions there are
-- ARGV[5]     how many graphs at most, about
--
-- Returns {0, graph id, ...} or {3, window}: of each partition first the graph that used the id first in a window, so
-- that who copies an id puts nothing before it.

local id, partitions, limit, reply = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), { ANSWER }
local used = {}
for of_window = window - 1, window + 1 do
  local suffix = '}:operations:' .. string.format('%.0f', of_window)
  for partition = 0, partitions - 1 do
    local key = 'dao:{' .. partition .. suffix
    local value = redis.call('HGET', key, id)
    if value then
      reply[#reply + 1] = split(value)
      used[#used + 1] = key
    end
  end
end
for _, key in ipairs(used) do
  local graph = redis.call('HGET', key, id .. '\0')
  while graph and graph ~= '' and #reply <= limit do
    reply[#reply + 1] = graph
    graph = split(redis.call('HGET', key, id .. graph))
  end
end
return reply
