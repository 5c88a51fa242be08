-- How far a log is. KEYS: the log. Answers the id of its last message and how many there have been.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'0-0', 0} end
local facts = {}
local told = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #told, 2 do facts[told[at]] = told[at + 1] end
return {facts['last-generated-id'], facts['entries-added']}
