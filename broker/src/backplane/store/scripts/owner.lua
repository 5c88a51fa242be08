-- Whose a record is. KEYS: the record. Answers nil when there is none.
return redis.call('HGET', KEYS[1], 'owner')
