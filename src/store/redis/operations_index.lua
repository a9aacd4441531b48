-- The index of operation ids in a cluster: which graphs used an id, wherever those lie. It is in some hashes, by the
-- last byte of the id, by the same time windows as the records.
--
-- A field is the 16 bytes of an id, its value the first graph that used it in the window. Where others used it
-- too, a sorted set beside it holds them in the order in which they came: it is named as the hash, a colon and
-- the id. What is in the index need not have a record: it is written before that is known.

local function index_expires(key)
  redis.call('PEXPIREAT', key, string.format('%.0f', (window + 2) * window_ms + 600000))
end

-- A graph uses these ids. `key` is the hash of this window, `stale` that of the window before the last.
local function index(key, stale, graph, ids)
  local found, fields = values(key, ids), {}
  for i = 1, #ids do
    if not found[i] then
      fields[#fields + 1] = ids[i]
      fields[#fields + 1] = graph
    elseif found[i] ~= graph then
      local beside = key .. ':' .. ids[i]
      redis.call('ZADD', beside, 'NX', redis.call('ZCARD', beside), graph)
      index_expires(beside)
    end
  end
  for from = 1, #fields, CHUNK do
    redis.call('HSET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
  end
  if #fields > 0 and redis.call('HLEN', key) * 2 <= #fields then
    index_expires(key)
    redis.call('UNLINK', stale)
  end
end
