-- Makes one worker the reader of a part of the feed, for a time.
--
-- KEYS[1]  who it is
-- ARGV[1]  the worker that asks
-- ARGV[2]  for how many milliseconds; 0 lets go
--
-- Returns {1} if it is the one now (or has let go), {0} if another one is.

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return { 0 }
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return { 1 }
