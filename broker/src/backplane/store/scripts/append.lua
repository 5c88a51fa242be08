-- Notes a message in the log and publishes it, at one moment.
-- KEYS: the log. ARGV: channel, message. Answers how many subscribers the message was handed to.
-- A message that is given twice is noted twice: whoever reads the log knows.
local time = redis.call('TIME')
local oldest = (time[1] - 150) * 1000
redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', oldest), '*', 'c', ARGV[1], 'm', ARGV[2])
redis.call('PEXPIRE', KEYS[1], 600000)
return redis.call('SPUBLISH', ARGV[1], ARGV[2])
