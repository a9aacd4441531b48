-- Graphs of one partition that may be purged before a time, the longest due first.
--
-- KEYS[1]  the graphs in the trash, by the time from which they may be purged
-- ARGV[1]  the time
-- ARGV[2]  how many at most
--
-- Returns {0, name, ...}.

local reply = redis.call('ZRANGE', KEYS[1], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', '0', ARGV[2])
table.insert(reply, 1, 0)
return reply
