#!lua flags=allow-oom
-- ARGV 4: limit, 5: for how many ms what is taken is put off. Answers the deliveries as they were.

local answers = {now}
for _, id in ipairs(call('ZRANGEBYSCORE', due_deliveries, '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local delivery = call('HGET', deliveries, id)
  if delivery then
    answers[#answers + 1] = delivery
    local later = cjson.decode(delivery)
    later.due_at = now + ARGV[5]
    call('HSET', deliveries, id, cjson.encode(later))
    call('ZADD', due_deliveries, later.due_at, id)
  else
    call('ZREM', due_deliveries, id)
  end
end
return answers
