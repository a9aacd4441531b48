-- The index of operation ids: which graphs used an id, wherever those lie. It is spread over some partitions by
-- the last byte of the id, in hashes by the same time windows as the records.
--
-- A field is the 16 bytes of an id, its value the first graph that used it in the window. Where others used it
-- too, a sorted set beside it holds them in the order in which they came: it is named as the hash, a colon and
-- the id. What is in the index need not have a record: it is written before that is known.

local function index_key(part, of_window)
  return 'dao:{' .. part .. '}:index:' .. string.format('%.0f', of_window)
end

local function index_expiry()
  return string.format('%.0f', (window + 2) * window_ms + 600000)
end

-- A graph uses an id. Nothing here is an error: the records are the truth, and this only leads to them.
local function index(key, id, graph)
  if redis.pcall('HSETNX', key, id, graph) == 0 and redis.pcall('HGET', key, id) ~= graph then
    local beside = key .. ':' .. id
    redis.pcall('ZADD', beside, 'NX', redis.pcall('ZCARD', beside), graph)
    redis.pcall('PEXPIREAT', beside, index_expiry())
  end
end
