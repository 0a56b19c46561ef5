#!lua flags=allow-oom
-- ARGV 4: limit, 5: for how many ms what is taken is put off. Answers the deliveries as they are then.

local function put_off(delivery, due)
  local later = cjson.decode(delivery)
  later.due_at = due
  return cjson.encode(later)
end

local answers = {now}
for _, id in ipairs(call('ZRANGEBYSCORE', due_deliveries, '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local delivery = call('HGET', deliveries, id)
  if delivery then
    local due = now + ARGV[5]
    local is_readable, later = pcall(put_off, delivery, due)
    if is_readable then
      delivery = later
      call('HSET', deliveries, id, delivery)
    end
    answers[#answers + 1] = delivery
    -- Whatever it is: what cannot be read must not be in front of the others again.
    call('ZADD', due_deliveries, due, id)
  else
    call('ZREM', due_deliveries, id)
  end
end
return answers
