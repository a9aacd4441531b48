-- Appends entries to one graph, or says why not. Everything that can fail comes before the first
-- write, because Redis does not roll a script back.
--
-- KEYS[5]  the graph's stream
-- KEYS[6]  the partition's feed
-- KEYS[7]  the graph's refusals
-- KEYS[8]  the partition's graphs
-- KEYS[9]  graphs that are being purged
-- KEYS[10] the partition's refused operations
-- ARGV[3]  the graph id
-- ARGV[4]  the expected version, in decimal; never a number here: a double has 53 bits
-- ARGV[5]  the expected hash
-- ARGV[6]  the channel of those who follow the graph
-- ARGV[7]  what a message on it begins with: its form and who sends it
-- ARGV[8]  how many entries; then for each its operation id, its record, and the version it was
--          refused at or ''; then for each commit its version, hash and body. Copied commits have no entry
--
-- Returns {0}, {1, version, hash}, {2, operation id, record, ...}, {3, window}, or {4} while the graph is being purged.

-- About how many refusals a graph keeps.
local REFUSALS_MAX = 10000
-- About how many refusals of all graphs of a partition are listed as they came.
local LISTED_MAX = 20000
local PURGING = 4
-- Bytes of commit bodies in one message; of more than that only the head is told.
local PUBLISHED_BYTES_MAX = 262144

-- Versions are compared as text, for a double has 53 bits.
local function is_above(a, b)
  return #a > #b or (#a == #b and a > b)
end

-- The version and number of the last refusal that the stream has seen, deleted ones too: Redis
-- takes no entry at or before it.
local function last_refusal(key)
  if redis.call('EXISTS', key) == 0 then
    return '0', 0
  end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local at, number = string.match(info[i + 1], '^(%d+)-(%d+)$')
      return at, tonumber(number)
    end
  end
end

local graph, version, hash, entries = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[8])
local first_commit = 9 + 3 * entries

local ids, refused = {}, {}
for i = 1, entries do
  ids[i] = ARGV[6 + 3 * i]
  if ARGV[8 + 3 * i] ~= '' then
    refused[#refused + 1] = i
  end
end
-- What an earlier graph of this name had must be gone before there is another one.
if version == '0' and redis.call('HEXISTS', KEYS[9], graph) == 1 then
  return { PURGING }
end

local records, duplicates, taken = recorded(graph, ids)
if duplicates > 0 then
  local reply = { DUPLICATE }
  for i = 1, entries do
    if records[i] then
      reply[#reply + 1] = ids[i]
      reply[#reply + 1] = records[i]
    end
  end
  return reply
end

local last = redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 1)[1]
if last then
  local head_version, head_hash = string.match(last[1], '^%d+'), last[2][2]
  if head_version ~= version or head_hash ~= hash then
    return { HEAD_MOVED, head_version, head_hash }
  end
elseif version ~= '0' then
  return { HEAD_MOVED, '0', string.rep('\0', 32) }
end

local refused_version, refused_number, is_foreign
if #refused > 0 or version == '0' then
  refused_version, refused_number = last_refusal(KEYS[7])
  is_foreign = is_above(refused_version, version)
end
if #refused > 0 then
  redis.call('XLEN', KEYS[10]) -- fails if it is not a stream, while nothing is written yet
end
if first_commit <= #ARGV then
  -- These fail if the feed is not a stream or the index not a sorted set, while nothing is written yet. What else is
  -- written to was read above.
  redis.call('XLEN', KEYS[6])
  redis.call('ZCARD', KEYS[8])
  for i = first_commit, #ARGV, 3 do
    redis.call('XADD', KEYS[5], ARGV[i] .. '-0', 'hash', ARGV[i + 1], 'body', ARGV[i + 2])
  end
  redis.call('XADD', KEYS[6], '*', 'graph', graph, 'from', ARGV[first_commit], 'to', ARGV[#ARGV - 2])
  if version == '0' then
    redis.call('ZADD', KEYS[8], 0, graph)
  end
end

if is_foreign then
  -- Somebody deleted the graph's stream: these were refused by a history that is no more.
  redis.call('UNLINK', KEYS[7])
  refused_version, refused_number = version, 0
end
for _, i in ipairs(refused) do
  local at = ARGV[8 + 3 * i]
  refused_number = refused_version == at and refused_number + 1 or 1
  refused_version = at
  redis.call('XADD', KEYS[7], 'MAXLEN', '~', REFUSALS_MAX, at .. '-' .. refused_number,
    'operation', ids[i], 'record', ARGV[7 + 3 * i])
  redis.call('XADD', KEYS[10], 'MAXLEN', '~', LISTED_MAX, '*', 'graph', graph, 'version', at, 'number', refused_number)
end

local is_new = redis.call('EXISTS', KEYS[CURRENT]) == 0
local own, fields = graph .. '\0', {}
for i = 1, entries do
  local id, record = ids[i], ARGV[7 + 3 * i]
  if taken[i] then
    local before = redis.call('HGET', KEYS[CURRENT], id .. '\0') or ''
    redis.call('HSET', KEYS[CURRENT], id .. graph, before .. '\0' .. record, id .. '\0', graph)
  else
    fields[#fields + 1] = id
    fields[#fields + 1] = own .. record
  end
end
for from = 1, #fields, CHUNK do
  redis.call('HSET', KEYS[CURRENT], unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
end
if is_new and entries > 0 then
  -- Unlinked by the window after next; the expiry is for partitions where nobody writes any more.
  redis.call('PEXPIREAT', KEYS[CURRENT], string.format('%.0f', (window + 2) * window_ms + 600000))
  redis.call('UNLINK', KEYS[STALE])
end

-- Last, and never an error: what was written stays written, whether or not anybody hears of it.
-- An answer that is no count, from a user who may not ask, counts as somebody.
if first_commit <= #ARGV then
  local channel = ARGV[6]
  local followers = redis.pcall('PUBSUB', 'SHARDNUMSUB', channel)
  if followers[2] ~= 0 then
    local bytes = 0
    for i = first_commit + 2, #ARGV, 3 do
      bytes = bytes + #ARGV[i]
    end
    local parts = { ARGV[7], 'C' }
    if bytes > PUBLISHED_BYTES_MAX then
      parts = { ARGV[7], 'H', ARGV[#ARGV - 1], ARGV[#ARGV - 2] }
    else
      for i = first_commit, #ARGV, 3 do
        parts[#parts + 1] = string.char(#ARGV[i]) .. ARGV[i] .. ARGV[i + 1] .. struct.pack('>I4', #ARGV[i + 2])
        parts[#parts + 1] = ARGV[i + 2]
      end
    end
    redis.pcall('SPUBLISH', channel, table.concat(parts))
  end
end
return { ANSWER }
