-- The outbox: deliveries as JSON by their id; the pending ones by when they are due, all by when they were made, and
-- those of each job likewise.

local deliveries, due_deliveries, recent_deliveries = root .. 'deliveries', root .. 'deliveries:due', root .. 'deliveries:recent'

local function deliveries_of(job)
  return root .. 'deliveries:of:' .. job
end

-- Writes a delivery over what is there under its id. `due` is '' unless it is pending.
local function put_delivery(job, id, created, due, delivery)
  call('HSET', deliveries, id, delivery)
  call('ZADD', recent_deliveries, created, id)
  call('ZADD', deliveries_of(job), created, id)
  if due == '' then call('ZREM', due_deliveries, id) else call('ZADD', due_deliveries, due, id) end
end
