-- Removes some of the records of the operations of one graph, which was purged.
--
-- ARGV[3]  the graph id
-- ARGV[4]  from where: the current window, the number of a window among KEYS, and a cursor, with spaces between them;
--          empty at the beginning
--
-- Returns {0, from where to go on}, {0} at the end, or {3, window}.

local FIELDS = 500
local graph = ARGV[3]
local seen, k, cursor = string.match(ARGV[4], '^(%d+) (%d+) (%d+)$')
if seen ~= ARGV[1] then
  -- At the beginning, or the windows have turned: their numbers are others now.
  k, cursor = '1', '0'
end
k = tonumber(k)
if k > SEEN then
  return { ANSWER }
end

-- Who used the id beside the graph keeps its record: as if the graph had never used it.
local function forget(key, id)
  local users = {}
  local at = redis.call('HGET', key, id .. '\0')
  while at and at ~= '' do
    local before, record = split(redis.call('HGET', key, id .. at))
    users[#users + 1] = { at, record }
    redis.call('HDEL', key, id .. at)
    at = before
  end
  users[#users + 1] = { split(redis.call('HGET', key, id)) }
  redis.call('HDEL', key, id, id .. '\0')
  local before
  for i = #users, 1, -1 do
    local user, record = users[i][1], users[i][2]
    if user ~= graph and not before then
      redis.call('HSET', key, id, user .. '\0' .. record)
      before = ''
    elseif user ~= graph then
      redis.call('HSET', key, id .. user, before .. '\0' .. record, id .. '\0', user)
      before = user
    end
  end
end

local reply = redis.call('HSCAN', KEYS[k], cursor, 'COUNT', FIELDS)
local own, fields = graph .. '\0', reply[2]
for i = 1, #fields, 2 do
  local field, value = fields[i], fields[i + 1]
  local is_first = #field == 16 and string.sub(value, 1, #own) == own
  local is_later = #field == 16 + #graph and string.sub(field, 17) == graph
  local id = string.sub(field, 1, 16)
  -- One that was removed just now, with its id, is not there any more.
  if (is_first or is_later) and redis.call('HEXISTS', KEYS[k], id) == 1 then
    forget(KEYS[k], id)
  end
end
if reply[1] == '0' then
  k = k + 1
end
return { ANSWER, string.format('%s %d %s', ARGV[1], k, reply[1]) }
