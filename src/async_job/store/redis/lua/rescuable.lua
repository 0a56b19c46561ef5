#!lua flags=allow-oom
-- ARGV 4: limit, 5: how many to pass over before, 6: after how many ms a lapsed worker that holds nothing is forgotten.
-- Answers ids and fields.

local PAGE, PAGES = 256, 16
local limit, over, forget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local answers, from = {now}, 0

local function look_at(worker, lease)
  local ids = call('ZRANGE', root .. 'claims:' .. worker, 0, over + math.max(limit + 1 - #answers, 0))
  if #ids == 0 and (lease == 0 or lease <= now - forget) then
    call('ZREM', leases, worker)
    call('DEL', root .. 'worker:' .. worker)
    return
  end
  from = from + 1
  for n = over + 1, #ids do
    if #answers > limit then return end
    answers[#answers + 1] = {ids[n], fields_of(ids[n])}
  end
  over = math.max(over - #ids, 0)
end

for _ = 1, PAGES do
  local page = call('ZRANGEBYSCORE', leases, '-inf', now, 'WITHSCORES', 'LIMIT', from, PAGE)
  for at = 1, #page, 2 do look_at(page[at], tonumber(page[at + 1])) end
  if #page < 2 * PAGE then break end
end
return answers
