-- Changes or removes a document, if it is as the writer saw it.
--
-- KEYS[1]  the document: the fields version and body
-- KEYS[2]  the names of all documents of its kind
-- KEYS[3]  how many changes there were
-- ARGV[1]  its name
-- ARGV[2]  the version it must have; empty where there must be none
-- ARGV[3]  1 to put the body there, 0 to remove the document
-- ARGV[4]  the body
--
-- Returns {1} if it did, {0} if the document was another one.

local version = redis.call('HGET', KEYS[1], 'version') or ''
if version ~= ARGV[2] then
  return { 0 }
end
redis.call('HLEN', KEYS[2]) -- fails if it is not a hash, while nothing is written yet
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], 'version', redis.call('INCR', KEYS[3]), 'body', ARGV[4])
  redis.call('HSET', KEYS[2], ARGV[1], '')
end
return { 1 }
