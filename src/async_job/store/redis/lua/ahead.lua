#!lua flags=no-writes
-- ARGV 4: an id. Answers how many stand before the job in its queue, or '' if it is not queued.

local job = redis.pcall('HMGET', jobs .. ARGV[4], 'state', 'queue')
local rank = job[1] == 'queued' and call('ZRANK', root .. 'queue:' .. (job[2] or 'default'), ARGV[4])
return {now, rank or ''}
