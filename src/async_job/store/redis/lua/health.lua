#!lua flags=allow-oom
-- KEYS 12: a key of its own. The path that outcomes take: a script that writes and reads.

call('SET', KEYS[12], now)
return {now, call('GET', KEYS[12])}
