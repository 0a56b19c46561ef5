#!lua flags=no-writes
-- ARGV 4: limit. Answers ids and fields of what was not started by its deadline, oldest first.

local answers = {now}
for n, id in ipairs(call('ZRANGEBYSCORE', deadlines, '-inf', now, 'LIMIT', 0, ARGV[4])) do
  answers[n + 1] = {id, fields_of(id)}
end
return answers
