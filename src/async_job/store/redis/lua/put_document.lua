#!lua flags=allow-oom
-- KEYS 12: the documents of a kind. ARGV 4: the id, 5: the document.

call('HSET', KEYS[12], ARGV[4], ARGV[5])
return {now}
