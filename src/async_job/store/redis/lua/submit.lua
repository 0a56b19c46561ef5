#!lua
-- Not allowed beyond maxmemory: a full server refuses new jobs and finishes those it has.
-- KEYS 12…: queues, wake lists and unique keys, which the items name by their place in KEYS (0: none).
-- ARGV 4: how many queues, then their names; how many items, then each: id, queue, wake list, unique key, score (the
-- rank, or when it is due if it is scheduled), deadline or '', line for the change log, how many fields, the fields.

local at = 5 + ARGV[4]
local count = tonumber(ARGV[at])
at = at + 1

local answers, fresh, taken, seen = {now}, {}, {}, {}
for n = 1, count do
  local id, unique = ARGV[at], tonumber(ARGV[at + 3])
  local holder = id
  if not seen[id] and call('EXISTS', jobs .. id) == 0 then
    if unique > 0 then
      holder = taken[unique] or call('GET', KEYS[unique]) or id
      -- A key whose holder is gone holds nothing.
      if holder ~= id and not taken[unique] and call('EXISTS', jobs .. holder) == 0 then holder = id end
    end
    if holder == id then
      fresh[#fresh + 1] = at
      seen[id] = true
      if unique > 0 then taken[unique] = id end
    end
  end
  answers[n + 1] = holder
  at = at + 8 + ARGV[at + 7]
end

local indexed, entries, woken = {}, {}, {}
for _, at in ipairs(fresh) do
  local id, queue, unique, score, deadline = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  call('HSET', jobs .. id, unpack(ARGV, at + 8, at + 7 + ARGV[at + 7]))
  gather(indexed, queue == '0' and scheduled or KEYS[tonumber(queue)], score, id)
  if deadline ~= '' then gather(indexed, deadlines, deadline, id) end
  if unique ~= '0' then call('SET', KEYS[tonumber(unique)], id) end
  entries[#entries + 1] = id
  entries[#entries + 1] = ARGV[at + 6]
  woken[ARGV[at + 2]] = true
end
if #fresh > 0 then
  write_all('ZADD', indexed)
  call('SADD', queues, unpack(ARGV, 5, 4 + ARGV[4]))
  record(entries)
  for list in pairs(woken) do wake(KEYS[tonumber(list)]) end
end
return answers
