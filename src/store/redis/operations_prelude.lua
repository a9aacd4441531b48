-- The head of every script: what the operation windows hold.
--
-- KEYS[1..4]  the windows w+1, w, w-1 and w-2 of one partition, w being the caller's guess
-- ARGV[1]     w
-- ARGV[2]     how long a window is, in ms
--
-- The clock is Redis's own, so that all writers turn the window at one moment; a caller whose guess
-- is wrong gets {3, w} and calls again. Window w+1 is looked into as well: it is there if the clock
-- stepped back over the edge of a window, as it can when a replica takes over.
--
-- A hash field is the 16 bytes of an operation id, its value the graph id, a zero byte, the record.
-- If the id is taken by another graph of the partition, the field is the operation id and the graph
-- id, its value the graph that did so before this one, a zero byte, the record; the last graph that
-- did so is in the field of the operation id and a zero byte. Thus all graphs can be found.

local ANSWER, HEAD_MOVED, DUPLICATE, OTHER_WINDOW = 0, 1, 2, 3
local CURRENT, SEEN, STALE = 2, 3, 4
-- Arguments of one call: unpack() needs a place on Lua's stack for each, and it has about 8,000.
local CHUNK = 1000

local window_ms = tonumber(ARGV[2])
local time = redis.call('TIME')
local window = math.floor((time[1] * 1000 + math.floor(time[2] / 1000)) / window_ms)
if window ~= tonumber(ARGV[1]) then
  return { OTHER_WINDOW, window }
end

local function split(value)
  local zero = string.find(value, '\0', 1, true)
  return string.sub(value, 1, zero - 1), string.sub(value, zero + 1)
end

local function values(key, fields)
  if #fields <= CHUNK then
    return redis.call('HMGET', key, unpack(fields))
  end
  local found = {}
  for from = 1, #fields, CHUNK do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
    for i = 1, #part do
      found[from + i - 1] = part[i]
    end
  end
  return found
end

-- The records of these operations in this graph by their place in `ids`, how many there are, and
-- which ids are taken by another graph in the current window.
local function recorded(graph, ids)
  local records, count, taken = {}, 0, {}
  local own = graph .. '\0'
  for k = 1, SEEN do
    if #ids > 0 and redis.call('EXISTS', KEYS[k]) == 1 then
      local found = values(KEYS[k], ids)
      for i = 1, #ids do
        local value, record = found[i], nil
        if value and string.sub(value, 1, #own) == own then
          record = string.sub(value, #own + 1)
        elseif value then
          taken[i] = taken[i] or k == CURRENT
          local beside = redis.call('HGET', KEYS[k], ids[i] .. graph)
          if beside then
            local _
            _, record = split(beside)
          end
        end
        if record and not records[i] then
          records[i], count = record, count + 1
        end
      end
    end
  end
  return records, count, taken
end

