-- Removes some of the records of the operations of one graph, which was purged.
--
-- KEYS[5]  graphs that are being purged
-- ARGV[3]  the graph id
-- ARGV[4]  from where: the current window, the number of a window among KEYS, and a cursor, with spaces between them;
--          empty at the beginning
-- ARGV[5]  the place in the feed of its purge
--
-- Returns {0, from where to go on}, {0} at the end or if that purge is done, or {3, window}.

local PURGING = 5
local FIELDS = 500
local graph = ARGV[3]
if redis.call('HGET', KEYS[PURGING], graph) ~= ARGV[5] then
  -- What there is now is of a later graph of that name.
  return { ANSWER }
end
local seen, k, cursor = string.match(ARGV[4], '^(%d+) (%d+) (%d+)$')
if seen ~= ARGV[1] then
  -- At the beginning, or the windows have turned: their numbers are others now.
  k, cursor = '1', '0'
end
k = tonumber(k)
if k > SEEN then
  return { ANSWER }
end

-- Who used the id beside the graph keeps its record: as if the graph had never used it. Theirs are written before the
-- others go, for a hash without fields would be gone, and with it the time at which it expires.
local function forget(key, id)
  local users, old = {}, { id, id .. '\0' }
  local at = redis.call('HGET', key, id .. '\0')
  while at and at ~= '' do
    local before, record = split(redis.call('HGET', key, id .. at))
    users[#users + 1] = { at, record }
    old[#old + 1] = id .. at
    at = before
  end
  users[#users + 1] = { split(redis.call('HGET', key, id)) }
  local new, before = {}, nil
  for i = #users, 1, -1 do
    local user, record = users[i][1], users[i][2]
    if user ~= graph and not before then
      new[id] = user .. '\0' .. record
      before = ''
    elseif user ~= graph then
      new[id .. user], new[id .. '\0'] = before .. '\0' .. record, user
      before = user
    end
  end
  for field, value in pairs(new) do
    redis.call('HSET', key, field, value)
  end
  for _, field in ipairs(old) do
    if not new[field] then
      redis.call('HDEL', key, field)
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
