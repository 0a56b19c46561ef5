#!lua flags=allow-oom
-- ARGV 4: limit, 5: after how many ms a lapsed worker that holds nothing is forgotten. Answers ids and fields.

local PAGE, PAGES = 256, 16
local limit, forget = tonumber(ARGV[4]), tonumber(ARGV[5])
local answers, from = {now}, 0

local function look_at(worker, lease)
  local ids = call('ZRANGE', root .. 'claims:' .. worker, 0, math.max(limit + 1 - #answers, 0))
  if #ids == 0 and (lease == 0 or lease <= now - forget) then
    call('ZREM', leases, worker)
    call('DEL', root .. 'worker:' .. worker)
    return
  end
  from = from + 1
  for _, id in ipairs(ids) do
    if #answers > limit then return end
    answers[#answers + 1] = {id, fields_of(id)}
  end
end

for _ = 1, PAGES do
  local page = call('ZRANGEBYSCORE', leases, '-inf', now, 'WITHSCORES', 'LIMIT', from, PAGE)
  for at = 1, #page, 2 do look_at(page[at], tonumber(page[at + 1])) end
  if #page < 2 * PAGE then break end
end
return answers
