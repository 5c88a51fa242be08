-- Ends a record. What stays for a while is a name that nobody has, so that no former owner makes it anew. KEYS: the record.
-- ARGV: the owner, the name, milliseconds that it stays. Answers as write.lua.
local owner = redis.call('HGET', KEYS[1], 'owner')
if not owner then return 0 end
if owner ~= ARGV[1] and owner ~= ARGV[2] then return -1 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
