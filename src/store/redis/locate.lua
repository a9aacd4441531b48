-- The graphs that used an operation id, in the order in which they came.
--
-- KEYS[1..4]  the windows of the id's part of the index
-- ARGV[3]     the operation id
-- ARGV[4]     how many at most, about
--
-- Returns {0, graph id, ...} or {3, window}.

local id, limit, reply = ARGV[3], tonumber(ARGV[4]), { ANSWER }
for k = SEEN, 1, -1 do
  local first = redis.call('HGET', KEYS[k], id)
  if first and #reply <= limit then
    reply[#reply + 1] = first
    local room = limit - #reply + 1
    local others = room > 0 and redis.call('ZRANGE', KEYS[k] .. ':' .. id, 0, room - 1) or {}
    for _, graph in ipairs(others) do
      reply[#reply + 1] = graph
    end
  end
end
return reply
