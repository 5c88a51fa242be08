-- Makes a record somebody else's, and reads it. KEYS: the record. ARGV: the present owner, the next one, milliseconds that
-- the record lives on. Answers 0 if there is no record, -1 if it belongs to a third, or the time in milliseconds and all
-- fields with their values.
local owner = redis.call('HGET', KEYS[1], 'owner')
if not owner then return 0 end
if owner ~= ARGV[1] and owner ~= ARGV[2] then return -1 end
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return {now, redis.call('HGETALL', KEYS[1])}
