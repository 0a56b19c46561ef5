#!lua
-- Not allowed beyond maxmemory: a full server refuses new jobs and finishes those it has.
-- KEYS 12…: queues each with its wake list behind it, unique and idempotency keys; items name them by their place
-- (0: none).
-- ARGV 4: how many items, then each (no id comes twice): id, state, queue, score (the rank, or when it is due if it is
-- scheduled), deadline or '', line for the change log, unique key, idempotency key, how many fields and values, those, and
-- what is kept under the idempotency key, if there is one: job, fingerprint and expiry as JSON.
-- Answers for each 1 if it is stored, the id that holds its unique key, or an idempotency key's id and what it means.

local HEAD = 9
local HOUR = 3600000

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
  local id, unique, key, fields = ARGV[at], tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local wanted = key > 0 and cjson.decode(ARGV[at + HEAD + fields])
  local answer = 1
  if call('EXISTS', jobs .. id) == 0 then
    answer = wanted and known(key, wanted) or unique > 0 and holder_of(unique) or 1
    if answer == 1 then
      fresh[#fresh + 1] = at
      if unique > 0 then taken[unique] = id end
      if wanted then kept[key] = wanted end
    end
  end
  answers[n] = answer
  at = at + HEAD + fields + (wanted and 1 or 0)
end

local indexed, entries, filled = {}, {}, {}
for _, at in ipairs(fresh) do
  local id, state, queue, score, deadline = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
  local unique, key, behind = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]), at + HEAD + ARGV[at + 8]
  -- The first three make it an entry of .NET's IDistributedCache, without expiry.
  call('HSET', jobs .. id, 'absexp', '-1', 'sldexp', '-1', 'data', 'PENDING', 'state', state,
    unpack(ARGV, at + HEAD, behind - 1))
  gather(indexed, state == 'queued' and KEYS[queue] or scheduled, score, id)
  if deadline ~= '' then gather(indexed, deadlines, deadline, id) end
  if unique > 0 then call('SET', KEYS[unique], id) end
  -- It goes by itself an hour after it has expired by the store's time.
  if key > 0 then call('SET', KEYS[key], ARGV[behind], 'PX', math.max(kept[key][3] - now, 0) + HOUR) end
  entries[#entries + 1] = id
  entries[#entries + 1] = ARGV[at + 5]
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
