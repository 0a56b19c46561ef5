#!lua flags=no-writes
-- Answers states and numbers in turn, then queues and numbers in turn.

local states = {'scheduled', call('ZCARD', scheduled), 'running', call('ZCARD', running)}
for state, key in pairs(finished) do
  states[#states + 1] = state
  states[#states + 1] = call('ZCARD', key)
end
local queued = {}
for _, queue in ipairs(call('SMEMBERS', queues)) do
  queued[#queued + 1] = queue
  queued[#queued + 1] = call('ZCARD', root .. 'queue:' .. queue)
end
return {now, states, queued}
