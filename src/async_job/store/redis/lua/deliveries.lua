#!lua flags=no-writes
-- KEYS 12: an index of deliveries. ARGV 4: how many at most (0: all), 5: 'newest': the newest first.

local answers = {now}
local order = ARGV[5] == 'newest' and {'REV'} or {}
for n, id in ipairs(call('ZRANGE', KEYS[12], 0, ARGV[4] - 1, unpack(order))) do
  answers[n + 1] = call('HGET', deliveries, id)
end
return answers
