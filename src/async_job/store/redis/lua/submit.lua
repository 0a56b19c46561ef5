#!lua
-- Not allowed beyond maxmemory: a full server refuses new jobs and finishes those it has.
-- KEYS 12…: queues, wake lists, unique and idempotency keys, which the items name by their place in KEYS (0: none).
-- ARGV 4: how many queues, then their names; how many items, then each: id, queue, wake list, unique key, score (the
-- rank, or when it is due if it is scheduled), deadline or '', line for the change log, idempotency key, how many fields,
-- the fields, and what is kept under the idempotency key, if there is one: job, fingerprint and expiry as JSON.
-- Answers for each the id that is stored, or an idempotency key's first id and what it means.

local HEAD = 9
local HOUR = 3600000

local at = 5 + ARGV[4]
local count = tonumber(ARGV[at])
at = at + 1

local kept = {}
-- What the key means to one who asks for `wanted`; nil: it is free.
local function known(key, wanted)
  if kept[key] == nil then
    local text = call('GET', KEYS[key])
    kept[key] = text and cjson.decode(text)
  end
  local first = kept[key]
  if first and first[3] > now then
    return {first[1], first[2] == wanted[2] and 'replayed' or 'mismatched'}
  end
end

local answers, fresh, taken, seen = {now}, {}, {}, {}
for n = 1, count do
  local id, unique, key, fields = ARGV[at], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local holder, wanted = id, key > 0 and cjson.decode(ARGV[at + HEAD + fields])
  if not seen[id] and call('EXISTS', jobs .. id) == 0 then
    local first = wanted and known(key, wanted)
    if first then holder = first
    elseif unique > 0 then
      holder = taken[unique] or call('GET', KEYS[unique]) or id
      -- A key whose holder is gone holds nothing.
      if holder ~= id and not taken[unique] and call('EXISTS', jobs .. holder) == 0 then holder = id end
    end
    if holder == id then
      fresh[#fresh + 1] = at
      seen[id] = true
      if unique > 0 then taken[unique] = id end
      if wanted then kept[key] = wanted end
    end
  end
  answers[n + 1] = holder
  at = at + HEAD + fields + (wanted and 1 or 0)
end

local indexed, entries, woken = {}, {}, {}
for _, at in ipairs(fresh) do
  local id, queue, unique, score, deadline = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local key, behind = tonumber(ARGV[at + 7]), at + HEAD + ARGV[at + 8]
  call('HSET', jobs .. id, unpack(ARGV, at + HEAD, behind - 1))
  gather(indexed, queue == '0' and scheduled or KEYS[tonumber(queue)], score, id)
  if deadline ~= '' then gather(indexed, deadlines, deadline, id) end
  if unique ~= '0' then call('SET', KEYS[tonumber(unique)], id) end
  -- It goes by itself an hour after it has expired by the store's time.
  if key > 0 then call('SET', KEYS[key], ARGV[behind], 'PX', math.max(kept[key][3] - now, 0) + HOUR) end
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
