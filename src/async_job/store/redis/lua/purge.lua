#!lua flags=allow-oom
-- ARGV 4: limit. Answers how many were removed, those first that were to be kept the shortest.

local QUEUES_LOOKED_AT = 16
local limit = tonumber(ARGV[4])
local due = {}
for _, key in pairs(finished) do
  local found = call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
  for at = 1, #found, 2 do due[#due + 1] = {found[at], tonumber(found[at + 1]), key} end
end
table.sort(due, function(one, other)
  if one[2] == other[2] then return one[1] < other[1] end
  return one[2] < other[2]
end)

local ids, indexes = {}, {}
for n = 1, math.min(#due, limit) do
  ids[n], indexes[n] = due[n][1], due[n][3]
end
remove(ids, indexes)

-- A queue that has emptied is no longer listed, and nobody is woken for it; the next job in it does both again.
for _, queue in ipairs(call('SRANDMEMBER', queues, QUEUES_LOOKED_AT)) do
  if call('EXISTS', root .. 'queue:' .. queue) == 0 then
    call('SREM', queues, queue)
    call('DEL', root .. 'wake:' .. queue)
  end
end
return {now, #ids}
