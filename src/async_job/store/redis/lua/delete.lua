#!lua flags=allow-oom
-- ARGV 4…: ids. Answers for each '' if it is not there (any more), or the fields of a job that has not ended.

local answers, ids, indexes, removed = {now}, {}, {}, {}
for at = 4, #ARGV do
  local id = ARGV[at]
  local state = redis.pcall('HMGET', jobs .. id, 'state')[1]
  if not state or removed[id] then answers[at - 2] = ''
  elseif finished[state] then
    removed[id] = true
    ids[#ids + 1] = id
    indexes[#indexes + 1] = finished[state]
    answers[at - 2] = ''
  else answers[at - 2] = call('HGETALL', jobs .. id) end
end
remove(ids, indexes)
return answers
