-- Where graphs of one partition stand in the order of an index.
--
-- KEYS[1]  the index: members `<key>\0<graph>`, all of one score
-- ARGV[1]  '1' for the other direction
-- ARGV[2]  from which bound, as ZRANGE BYLEX takes it
-- ARGV[3]  to which bound
-- ARGV[4]  how many at most
--
-- Returns {0, member, ...}: a reply that began with a member could be taken for something else.

local range = { KEYS[1], ARGV[2], ARGV[3], 'BYLEX' }
if ARGV[1] == '1' then
  range[5] = 'REV'
end
for _, word in ipairs({ 'LIMIT', '0', ARGV[4] }) do
  range[#range + 1] = word
end
local reply = redis.call('ZRANGE', unpack(range))
table.insert(reply, 1, 0)
return reply
