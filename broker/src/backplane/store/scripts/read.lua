-- Reads on in a log. KEYS: the log. ARGV: the id after which, how many messages to look at, how many bytes to return, the
-- channels that are wanted. Answers the time in milliseconds, how many messages there have been, how many there are, the
-- id up to which it has looked or '' when there is nothing more, and the ids and texts of what is wanted.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if redis.call('EXISTS', KEYS[1]) == 0 then return {now, 0, 0, '', {}} end
local facts = {}
local told = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #told, 2 do facts[told[at]] = told[at + 1] end
local wanted = {}
for at = 4, #ARGV do wanted[ARGV[at]] = true end
local last, left, room, found = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local more = true
while more and left > 0 and room > 0 do
  local count = math.min(left, 16)
  local messages = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', count)
  more = #messages == count
  left = left - count
  for _, message in ipairs(messages) do
    last = message[1]
    local fields = message[2]
    if wanted[fields[2]] then
      found[#found + 1] = last
      found[#found + 1] = fields[4]
      room = room - #fields[4]
    end
  end
end
return {now, facts['entries-added'], facts['length'], more and last or '', found}
