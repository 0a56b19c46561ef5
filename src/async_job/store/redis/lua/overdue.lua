#!lua flags=no-writes
-- ARGV 4: limit, 5: how many to pass over before. Answers ids and fields of what was not started by its deadline, oldest
-- first.

local answers = {now}
for n, id in ipairs(call('ZRANGEBYSCORE', deadlines, '-inf', now, 'LIMIT', ARGV[5], ARGV[4])) do
  answers[n + 1] = {id, fields_of(id)}
end
return answers
