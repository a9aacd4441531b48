-- Lets go of the first entries of a part of the feed, and says up to where. Both at once, and never
-- back: a reader that is told too little would skip what is gone.
--
-- KEYS[1]  the feed
-- KEYS[2]  the places of its readers
-- KEYS[3]  refused operations, which are kept as long
-- ARGV[1]  milliseconds and number of the last entry that goes
-- ARGV[3]  the first id that stays
-- ARGV[4]  the field of the places that says up to where
--
-- Returns {1}.

redis.call('XLEN', KEYS[1]) -- fails if it is not a stream, while nothing is written yet
redis.call('XLEN', KEYS[3])
local was = redis.call('HGET', KEYS[2], ARGV[4]) or '0-0'
local was_major, was_minor = string.match(was, '^(%d+)-(%d+)$')
local major, minor = tonumber(ARGV[1]), tonumber(ARGV[2])
was_major, was_minor = tonumber(was_major or 0), tonumber(was_minor or 0)
if major > was_major or (major == was_major and minor > was_minor) then
  redis.call('HSET', KEYS[2], ARGV[4], ARGV[1] .. '-' .. ARGV[2])
end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[3])
return { 1 }
