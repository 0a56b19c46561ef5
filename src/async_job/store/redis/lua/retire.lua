#!lua flags=allow-oom
-- KEYS 12: the worker's claims. ARGV 4: the worker. Answers what it held: ids and fields.

local answers = {now}
if call('ZSCORE', leases, ARGV[4]) then
  call('ZADD', leases, 0, ARGV[4])
  for n, id in ipairs(call('ZRANGE', KEYS[12], 0, -1)) do answers[n + 1] = {id, fields_of(id)} end
end
return answers
