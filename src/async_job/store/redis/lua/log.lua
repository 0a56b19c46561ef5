#!lua flags=no-writes
-- KEYS 12: the log. ARGV 4: id, 5: how many of its lines, of all that it ever got, are not wanted.
-- Answers the time and the lines.

local kept = call('LLEN', KEYS[12])
local gone = (call('HGET', jobs .. ARGV[4], 'logged') or kept) - kept
return {now, call('LRANGE', KEYS[12], math.max(ARGV[5] - gone, 0), -1)}
