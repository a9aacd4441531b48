-- Names of graphs of one partition, in byte order.
--
-- KEYS[1]  the partition's graphs
-- ARGV[1]  from where, as ZRANGEBYLEX takes it
-- ARGV[2]  how many at most
--
-- Returns {0, name, ...}: a reply that began with a name could be taken for something else.

local reply = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
table.insert(reply, 1, 0)
return reply
