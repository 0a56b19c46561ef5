#!lua flags=allow-oom
-- KEYS 12: the worker. ARGV 4: its id, 5: the lease in ms, 6…: fields that say who it is.

local lease = call('ZSCORE', leases, ARGV[4])
if lease == '0' then return redis.error_reply('NOTENROLLED worker ' .. ARGV[4] .. ' was retired') end
call('ZADD', leases, now + ARGV[5], ARGV[4])
if not lease then call('HSET', KEYS[12], unpack(ARGV, 6)) end
return {now}
