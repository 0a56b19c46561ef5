#!lua flags=allow-oom
-- ARGV 4: limit, 5: for how many ms what is taken is put off. Answers the deliveries as they are then.

local answers = {now}
for _, id in ipairs(call('ZRANGEBYSCORE', due_deliveries, '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local delivery = call('HGET', deliveries, id)
  if delivery then
    local later = cjson.decode(delivery)
    later.due_at = now + ARGV[5]
    local held = cjson.encode(later)
    answers[#answers + 1] = held
    call('HSET', deliveries, id, held)
    call('ZADD', due_deliveries, later.due_at, id)
  else
    call('ZREM', due_deliveries, id)
  end
end
return answers
