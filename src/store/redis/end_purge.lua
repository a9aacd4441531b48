-- Nothing of a purged graph is left: its name is free.
--
-- KEYS[1]  graphs that are being purged
-- ARGV[1]  the graph id
-- ARGV[2]  the place in the feed of its purge: a later one of that name stays
--
-- Returns {0}.

if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return { 0 }
