-- The graphs of the partition that have a record of one operation.
--
-- ARGV[3]  the operation id
--
-- Returns {0, graph id, ...} or {3, window}.

local id, reply = ARGV[3], { ANSWER }

for k = 1, SEEN do
  local value = redis.call('HGET', KEYS[k], id)
  if value then
    reply[#reply + 1] = split(value)
    local graph = redis.call('HGET', KEYS[k], id .. '\0')
    while graph and graph ~= '' do
      reply[#reply + 1] = graph
      graph = split(redis.call('HGET', KEYS[k], id .. graph))
    end
  end
end
return reply
