#!lua flags=allow-oom
-- KEYS 12: paused queues, 13: the queue's wake list. ARGV 4: the queue.

call('SREM', KEYS[12], ARGV[4])
wake(KEYS[13])
return {now}
