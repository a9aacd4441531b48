-- Removes what a stream of a partition tells of one graph among the next entries.
--
-- KEYS[1]  the stream, whose entries begin with the graph
-- KEYS[2]  graphs that are being purged
-- ARGV[1]  after which entry
-- ARGV[2]  up to which entry, as XRANGE takes it
-- ARGV[3]  the graph id
-- ARGV[4]  the place in the feed of its purge
-- ARGV[5]  how many entries are looked at
--
-- Returns {0, the last entry that was looked at}, or {0} at the end, or if that purge is done: what there is then is of a later graph.

if redis.call('HGET', KEYS[2], ARGV[3]) ~= ARGV[4] then
  return { 0 }
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], ARGV[2], 'COUNT', ARGV[5])
local reply = { 0 }
for _, entry in ipairs(entries) do
  reply[2] = entry[1]
  if entry[2][2] == ARGV[3] then
    redis.call('XDEL', KEYS[1], entry[1])
  end
end
return reply
