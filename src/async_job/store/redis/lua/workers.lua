#!lua flags=no-writes
-- Answers for each worker its id, the end of its lease, how many jobs it holds, and the fields that say who it is.

local answers = {now}
local known = call('ZRANGE', leases, 0, -1, 'WITHSCORES')
for at = 1, #known, 2 do
  local id = known[at]
  answers[#answers + 1] = {
    id, known[at + 1], call('ZCARD', root .. 'claims:' .. id),
    call('HMGET', root .. 'worker:' .. id, 'host', 'pid', 'started_at', 'queues', 'concurrency', 'version')
  }
end
return answers
