-- Changes a record, if the writer owns it. KEYS: the record. ARGV: the owner; 1 if the record may be new; milliseconds
-- that it lives on; how many fields go; these; and then fields and their values. Answers 1; 0 if there is no record; -1 if
-- it belongs to another. Numbered messages are noted with the time.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return -1 end
if not owner and ARGV[2] ~= '1' then return 0 end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HDEL', KEYS[1], ARGV[at])
  at = at + 1
end
while at < #ARGV do
  local field, value = ARGV[at], ARGV[at + 1]
  if string.sub(field, 1, 1) == 'm' then value = now .. ':' .. value end
  redis.call('HSET', KEYS[1], field, value)
  at = at + 2
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
