#!lua flags=allow-oom
-- KEYS 12…: queues each with its wake list behind it, unique keys and logs; items name them by their place (0: none).
-- ARGV 4: how many items. Each begins with a head of 17: id, guard's state, guard's token, flags (u: uncancelled, l:
-- lapsed, d: deadline, o: outcome, e: kept for ever), the version decided on, then as it is after the change: state,
-- reason, score in the index of the state ('': as the stored job says), deadline; queue, unique key, log; and how many
-- fields and values to set, fields to drop, fields to drop if the version is another one, lines for the log, and
-- deliveries. These follow; a delivery is its id, time of creation, when it is due ('' unless pending), and the whole as
-- JSON. Answers for each its new version, or a word with the fields of the job.

local HEAD = 17
local DELIVERY = 4
local HOUR = 3600000
local LOG_LINES_KEPT = 1000

local function flag(at, letter)
  return string.find(ARGV[at + 3], letter, 1, true)
end

local holders = {}
local function holder_of(key)
  if holders[key] == nil then
    local id = call('GET', key)
    -- A key whose holder is gone holds nothing.
    holders[key] = id and call('EXISTS', jobs .. id) == 1 and id
  end
  return holders[key]
end

local function lapsed(token)
  local lease = call('ZSCORE', leases, worker_of(token))
  return not lease or tonumber(lease) <= now
end

-- Why the item is not written ('stale', 'told') and who holds its unique key; nil: it may be.
local function refusal(at, id, state, token, cancelled, start_by)
  local given = ARGV[at + 2]
  if state ~= ARGV[at + 1] or (given ~= '' and token ~= given)
    or (cancelled and flag(at, 'u')) or (flag(at, 'l') and not lapsed(token))
    or (flag(at, 'd') and not start_by) then
    if token == given and state ~= 'running' and flag(at, 'o') then return 'told' end
    return 'stale'
  end
  local unique = tonumber(ARGV[at + 10])
  if unique > 0 then
    local key, ends = KEYS[unique], finished[ARGV[at + 5]]
    local holder = holder_of(key)
    if ends and holder == id then
      holders[key] = false
    elseif not ends and finished[state] then
      if holder and holder ~= id then return 'stale', holder end
      holders[key] = id
    end
  end
end

local answers, accepted = {now}, {}
local at = 5
for n = 2, ARGV[4] + 1 do
  local id = ARGV[at]
  local stored = redis.pcall('HMGET', jobs .. id, 'state', 'token', 'cancel_requested_at', 'version', 'start_by', 'life')
  if not stored[1] then
    answers[n] = {'gone'}
  else
    local word, holder = refusal(at, id, stored[1], stored[2] or '', stored[3], stored[5])
    if word then
      answers[n] = {word, call('HGETALL', jobs .. id), holder or ''}
    else
      accepted[#accepted + 1] = {at, n, stored[1], stored[2], (stored[4] or 1) + 1, stored[6]}
    end
  end
  at = at + HEAD + ARGV[at + 12] + ARGV[at + 13] + ARGV[at + 14] + ARGV[at + 15] + DELIVERY * ARGV[at + 16]
end

local left, entered, listed, entries, woken = {}, {}, {}, {}, {}

-- Outcomes told together mostly come from one claim.
local claims_of = {}
local function claims(token)
  local key = claims_of[token]
  if not key then
    key = root .. 'claims:' .. worker_of(token)
    claims_of[token] = key
  end
  return key
end

local function leave(at, id, state, token)
  if state == 'running' then
    gather(left, running, nil, id)
    gather(left, claims(token), nil, id)
  elseif state == 'queued' then gather(left, KEYS[tonumber(ARGV[at + 9])], nil, id)
  else gather(left, finished[state] or scheduled, nil, id) end
end

-- The score of a job that comes back as it was: its due time, or its rank.
local function stored_score(id, state)
  local job = call('HMGET', jobs .. id, 'scheduled_for', 'created_at', 'priority')
  local ready = job[1] or job[2]
  return state == 'queued' and ready - (job[3] or 0) * 60000 or ready
end

local function enter(at, id, state)
  local score = ARGV[at + 7]
  if score == '' then score = stored_score(id, state) end
  if finished[state] then
    gather(entered, finished[state], score, id)
  else
    local queue = tonumber(ARGV[at + 9])
    if state == 'queued' then
      gather(entered, KEYS[queue], score, id)
      gather(listed, queues, nil, string.sub(KEYS[queue], #root + #'queue:' + 1))
    else
      gather(entered, scheduled, score, id)
    end
    woken[KEYS[queue + 1]] = true
  end
end

local LETTERS = {scheduled = 'd', queued = 'q', running = 'r', succeeded = 's', failed = 'f', cancelled = 'c', expired = 'e'}

local function write_item(at, key, version, life)
  local set, drop, maybe, lines = ARGV[at + 12] + 0, ARGV[at + 13] + 0, ARGV[at + 14] + 0, ARGV[at + 15] + 0
  local first = at + HEAD
  call('HSET', key, 'version', version, 'life', lived(life, version, LETTERS[ARGV[at + 5]]),
    unpack(ARGV, first, first + set - 1))
  first = first + set
  local dropped = ARGV[at + 4] + 1 == version and drop or drop + maybe
  if dropped > 0 then call('HDEL', key, unpack(ARGV, first, first + dropped - 1)) end
  first = first + drop + maybe
  if lines > 0 then
    local log = KEYS[tonumber(ARGV[at + 11])]
    call('RPUSH', log, unpack(ARGV, first, first + lines - 1))
    call('LTRIM', log, -LOG_LINES_KEPT, -1)
    call('HINCRBY', key, 'logged', lines)
  end
  first = first + lines
  for from = first, first + DELIVERY * ARGV[at + 16] - 1, DELIVERY do
    put_delivery(ARGV[at], unpack(ARGV, from, from + DELIVERY - 1))
  end
end

for _, item in ipairs(accepted) do
  local at, before, token, version = item[1], item[3], item[4], item[5]
  local id, after = ARGV[at], ARGV[at + 5]
  local key = jobs .. id
  write_item(at, key, version, item[6])
  if before ~= 'running' or after ~= 'running' then
    leave(at, id, before, token)
    enter(at, id, after)
  end
  local deadline = ARGV[at + 8]
  -- Deadlines hold only what was never started.
  if deadline ~= '' and (call('HGET', key, 'attempt') or '0') == '0' then
    if finished[after] then gather(left, deadlines, nil, id) else gather(entered, deadlines, deadline, id) end
  end
  -- A finished job goes by itself an hour after `purge` should have taken it.
  if finished[after] and not flag(at, 'e') then
    call('PEXPIRE', key, math.max(ARGV[at + 7] - now, 0) + HOUR)
  elseif finished[before] then
    call('PERSIST', key)
  end
  entries[#entries + 1] = id
  entries[#entries + 1] = version .. ' ' .. after .. ' ' .. ARGV[at + 6]
  answers[item[2]] = ARGV[at + 4] + 1 == version and version or {'written', call('HGETALL', key)}
end
write_all('ZREM', left)
write_all('ZADD', entered)
write_all('SADD', listed)
for key, holder in pairs(holders) do
  if holder then call('SET', key, holder) else call('DEL', key) end
end
record(entries)
for list in pairs(woken) do wake(list) end
return answers
