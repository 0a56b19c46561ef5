#!lua flags=no-writes
-- KEYS 12: paused queues, 13: how many jobs each queue has started. Answers for each queue its name, how many are queued,
-- 1 if it is paused, since when the first may start (or ''), and how many were started.

local names, paused, started = {}, {}, {}
for _, name in ipairs(call('SMEMBERS', queues)) do
  if call('EXISTS', root .. 'queue:' .. name) == 1 then names[name] = true end
end
for _, name in ipairs(call('SMEMBERS', KEYS[12])) do
  names[name] = true
  paused[name] = 1
end
local counts = call('HGETALL', KEYS[13])
for at = 1, #counts, 2 do
  names[counts[at]] = true
  started[counts[at]] = counts[at + 1]
end

local answers = {now}
for name in pairs(names) do
  local queue = root .. 'queue:' .. name
  local first = call('ZRANGE', queue, 0, 0)[1]
  local job = first and call('HMGET', jobs .. first, 'scheduled_for', 'created_at') or {}
  answers[#answers + 1] = {name, call('ZCARD', queue), paused[name] or 0, job[1] or job[2] or '', started[name] or 0}
end
return answers
