#!lua flags=no-writes
-- Answers 1 or 0 each: whether a lease is over, whether a deadline has come, whether a delivery is due.

local function any(key) return #call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1) end

return {now, any(leases), any(deadlines), any(due_deliveries)}
