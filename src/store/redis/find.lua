-- The records of one operation in all graphs of the partition.
--
-- ARGV[3]  the operation id
--
-- Returns {0, graph id, record, ...} or {3, window}.

local id, reply = ARGV[3], { ANSWER }
local function found(graph, record)
  reply[#reply + 1] = graph
  reply[#reply + 1] = record
end

for k = 1, SEEN do
  local value = redis.call('HGET', KEYS[k], id)
  if value then
    found(split(value))
    local graph = redis.call('HGET', KEYS[k], id .. '\0')
    while graph and graph ~= '' do
      local before, record = split(redis.call('HGET', KEYS[k], id .. graph))
      found(graph, record)
      graph = before
    end
  end
end
return reply
