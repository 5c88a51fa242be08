-- Notes a message in the log and publishes it, at one moment.
-- KEYS: the log, and the names of what a client has published if the message has one. ARGV: channel, message, name, void,
-- term. Answers how many subscribers the message was handed to. If another message had that name, it is not noted, the
-- void is published, and the answer is -1 less the subscribers. If the client has published something in a later term, the
-- void is published as well, and the answer is nil. A message that is given twice without a name is noted twice: whoever
-- reads the log knows. What is older than 150 seconds is forgotten, and all but a million messages.
local log, said, channel, message, name, void = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local oldest = string.format('%.0f', (redis.call('TIME')[1] - 150) * 1000)
local noted = said and tonumber(redis.call('ZSCORE', said, name))
if noted and noted >= tonumber(oldest) then
  -- The very same message is given again when the answer to the first time was lost: some may not have it yet.
  noted = string.format('%.0f', noted)
  for _, entry in ipairs(redis.call('XRANGE', log, noted, noted)) do
    if entry[2][4] == message then return redis.call('SPUBLISH', channel, message) end
  end
  return -1 - redis.call('SPUBLISH', channel, void)
end
-- The latest term stands among the names, with a score beyond every time. The first needs no mark.
local first = 4503599627370496
local latest = said and tonumber(redis.call('ZSCORE', said, 'term') or first) - first
local term = said and tonumber(ARGV[5])
if said and term < latest then
  redis.call('SPUBLISH', channel, void)
  return false
end
-- The first to write, so that all is refused when there is no memory.
local id = redis.call('XADD', log, 'MINID', '~', oldest, '*', 'c', channel, 'm', message)
redis.call('XTRIM', log, 'MAXLEN', '~', 1000000)
redis.call('PEXPIRE', log, 600000)
if said then
  redis.call('ZADD', said, string.match(id, '%d+'), name)
  if term > latest then redis.call('ZADD', said, string.format('%.0f', first + term), 'term') end
  redis.call('ZREMRANGEBYSCORE', said, '-inf', '(' .. oldest)
  redis.call('PEXPIRE', said, 150000)
end
return redis.call('SPUBLISH', channel, message)
