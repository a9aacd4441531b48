-- Notes in one part of the index that a graph uses operation ids.
--
-- KEYS[1..4]  the windows of the part of the index
-- ARGV[3]     the graph id; then the operation ids
--
-- Returns {0} or {3, window}.

local is_new = redis.call('EXISTS', KEYS[CURRENT]) == 0
for i = 4, #ARGV do
  index(KEYS[CURRENT], ARGV[i], ARGV[3])
end
if is_new then
  redis.call('PEXPIREAT', KEYS[CURRENT], index_expiry())
  redis.call('UNLINK', KEYS[STALE])
end
return { ANSWER }
