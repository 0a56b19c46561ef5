#!lua
-- Not allowed beyond maxmemory: a full server refuses new jobs and finishes those it has.
-- KEYS 12…: queues each with its wake list behind it, unique and idempotency keys; items name them by their place
-- (0: none).
-- ARGV 4: how many items, then each (no id comes twice): id, state, queue, score (the rank, or when it is due if it is
-- scheduled), type, time of creation, how many more fields and values, how much else, those fields and values, and what few
-- jobs have: deadline or '', unique key, idempotency key, and what is kept under that (job, fingerprint and expiry as JSON).
-- Answers for each 1 if it is stored, the id that holds its unique key, or an idempotency key's id and what it means.

local HEAD = 8
local HOUR = 3600000

-- The item's unique key and its idempotency key, by their places in KEYS; nil: it has none.
local function places(more)
  local unique, key = tonumber(ARGV[more + 1]), tonumber(ARGV[more + 2])
  return unique > 0 and unique or nil, key > 0 and key or nil
end

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

local taken = {}
-- Who has the unique key, if somebody has. A key whose holder is gone holds nothing.
local function holder_of(key)
  local holder = taken[key] or call('GET', KEYS[key])
  return holder and (taken[key] or call('EXISTS', jobs .. holder) == 1) and holder
end

local answers, fresh = {now}, {}
local at = 5
for n = 2, ARGV[4] + 1 do
  local id, more = ARGV[at], at + HEAD + ARGV[at + 6]
  local unique, key, wanted
  if ARGV[at + 7] ~= '0' then
    unique, key = places(more)
    wanted = key and cjson.decode(ARGV[more + 3])
  end
  local answer = 1
  if call('EXISTS', jobs .. id) == 0 then
    answer = wanted and known(key, wanted) or unique and holder_of(unique) or 1
    if answer == 1 then
      fresh[#fresh + 1] = at
      if unique then taken[unique] = id end
      if wanted then kept[key] = wanted end
    end
  end
  answers[n] = answer
  at = more + ARGV[at + 7]
end

local indexed, entries, filled = {}, {}, {}
for _, at in ipairs(fresh) do
  local id, state, queue, score, more = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], at + HEAD + ARGV[at + 6]
  -- The first three make it an entry of .NET's IDistributedCache, without expiry.
  call('HSET', jobs .. id, 'absexp', '-1', 'sldexp', '-1', 'data', 'PENDING', 'state', state,
    'type', ARGV[at + 4], 'created_at', ARGV[at + 5], unpack(ARGV, at + HEAD, more - 1))
  gather(indexed, state == 'queued' and KEYS[queue] or scheduled, score, id)
  if ARGV[at + 7] ~= '0' then
    local unique, key = places(more)
    if ARGV[more] ~= '' then gather(indexed, deadlines, ARGV[more], id) end
    if unique then call('SET', KEYS[unique], id) end
    -- It goes by itself an hour after it has expired by the store's time.
    if key then call('SET', KEYS[key], ARGV[more + 3], 'PX', math.max(kept[key][3] - now, 0) + HOUR) end
  end
  entries[#entries + 1] = id
  entries[#entries + 1] = '1 ' .. state .. ' submitted'
  filled[queue] = true
end
if #fresh > 0 then
  write_all('ZADD', indexed)
  record(entries)
  for queue in pairs(filled) do
    call('SADD', queues, queue_name(KEYS[queue]))
    wake(KEYS[queue + 1])
  end
end
return answers
