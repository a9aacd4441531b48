-- Tries what the other scripts and the reads do, on one key that is gone afterwards.
--
-- KEYS[1]  the key
-- ARGV[1]  a channel
--
-- Returns {0, what may not be done, ...}.

local key = KEYS[1]
local function kind_of(problem)
  if string.find(problem, 'channel', 1, true) then
    return 'use channels dao:*'
  elseif string.find(problem, 'key', 1, true) then
    return 'use keys dao:*'
  end
end

local told, reply = {}, { 0 }
local function try(...)
  local answer = redis.pcall(...)
  local problem = type(answer) == 'table' and answer.err
  -- Anything else that fails is found by those who do it, with a better word for it.
  -- Redis 7.0 has no code for it, only these words.
  local is_denied = problem and (string.find(problem, 'NOPERM', 1, true)
    or string.find(problem, 'user executing the script', 1, true))
  if is_denied then
    local missing = kind_of(problem) or 'use ' .. string.upper(select(1, ...))
    if not told[missing] then
      told[missing] = true
      reply[#reply + 1] = missing
    end
  end
end

try('UNLINK', key)
try('XADD', key, '*', 'a', 'b')
try('XLEN', key)
try('XRANGE', key, '-', '+', 'COUNT', '1')
try('XREVRANGE', key, '+', '-', 'COUNT', '1')
try('XINFO', 'STREAM', key)
try('XTRIM', key, 'MINID', '0')
try('XDEL', key, '1-1')
try('DEL', key)
try('HSET', key, 'a', '1')
try('HSETNX', key, 'a', '1')
try('HGET', key, 'a')
try('HMGET', key, 'a')
try('HGETALL', key)
try('HKEYS', key)
try('HLEN', key)
try('HEXISTS', key, 'a')
try('HSCAN', key, '0', 'COUNT', '1')
try('HDEL', key, 'a')
try('ZADD', key, '0', 'a')
try('ZCARD', key)
try('ZRANGE', key, '0', '0')
try('ZRANGEBYLEX', key, '-', '+', 'LIMIT', '0', '1')
try('ZREM', key, 'b')
try('UNLINK', key)
try('SET', key, '', 'PX', '1000')
try('GET', key)
try('INCR', key)
try('PEXPIREAT', key, '1')
try('EXISTS', key)
try('TIME')
try('PUBSUB', 'SHARDNUMSUB', ARGV[1])
try('SPUBLISH', ARGV[1], '')
return reply
