#!lua flags=allow-oom
-- KEYS 12: paused queues. ARGV 4: the queue.

call('SADD', KEYS[12], ARGV[4])
return {now}
