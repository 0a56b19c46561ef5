#!lua flags=allow-oom
-- KEYS 12…: queues each with its wake list behind it, unique keys and logs; items name them by their place (0: none).
-- ARGV 4: how many items. Each (no id comes twice) begins with a head of 13: id, guard's state, guard's token, flags (u: uncancelled, l:
-- lapsed, d: deadline, o: outcome, e: kept for ever); then as it is after the change: version and life (if it still is
-- the version that was decided on), state, reason, score in the index of the state ('': as the stored job says), queue;
-- fields to drop if the version is another one; how many fields and values to set, and how much more there is. Those
-- fields and values follow, and then, if there is more: deadline, unique key, fields to drop, what append_log takes,
-- and deliveries: each its id, time of creation, when it is due ('' unless pending), and the whole as JSON.
-- Answers for each 1 if it is written as it was decided, or a word with the fields of the job.

local HEAD = 13
local DELIVERY = 4
local HOUR = 3600000
local WORDS = {
  scheduled = 'PENDING', queued = 'PENDING', running = 'STARTING',
  succeeded = 'COMPLETE', failed = 'FAILED', cancelled = 'CANCELLED', expired = 'EXPIRED'
}

local function flag(at, letter)
  return string.find(ARGV[at + 3], letter, 1, true)
end

-- Where the item's further arguments begin, if it has any.
local function more_of(at)
  return ARGV[at + 12] ~= '0' and at + HEAD + ARGV[at + 11]
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

-- Whether what the decision rests on still is so.
local function holds(at, state, token)
  local given, key = ARGV[at + 2], jobs .. ARGV[at]
  if state ~= ARGV[at + 1] or given ~= '' and token ~= given then return false end
  return not string.find(ARGV[at + 3], '[uld]')
    or not (flag(at, 'u') and call('HGET', key, 'cancel_requested_at'))
      and not (flag(at, 'l') and not lapsed(token))
      and not (flag(at, 'd') and not call('HGET', key, 'start_by'))
end

-- Why the item is not written ('stale', 'told') and who holds its unique key; nil: it may be.
local function refusal(at, id, state, token)
  if not holds(at, state, token) then
    if token == ARGV[at + 2] and state ~= 'running' and flag(at, 'o') then return 'told' end
    return 'stale'
  end
  local more = more_of(at)
  local key = more and KEYS[tonumber(ARGV[more + 1])]
  if key then
    local ends, holder = finished[ARGV[at + 6]], holder_of(key)
    if ends and holder == id then
      holders[key] = false
    elseif not ends and finished[state] then
      if holder and holder ~= id then return 'stale', holder end
      holders[key] = id
    end
  end
end

-- The score of a job that comes back as it was: its due time, or its rank; nil: the fields that say it are no numbers.
local function stored_score(id, state)
  local job = call('HMGET', jobs .. id, 'scheduled_for', 'created_at', 'priority')
  local ready, priority = tonumber(job[1] or job[2]), tonumber(job[3] or 0)
  local score = ready and priority and (state == 'queued' and ready - priority * 60000 or ready)
  return is_finite(score) and score
end

local function moves(before, after)
  return before ~= 'running' or after ~= 'running'
end

local answers, accepted = {now}, {}
local at = 5
for n = 2, ARGV[4] + 1 do
  local id = ARGV[at]
  local stored = redis.pcall('HMGET', jobs .. id, 'state', 'token', 'version')
  if not stored[1] then
    answers[n] = {'gone'}
  else
    local version, score = tonumber(stored[3] or 1), ARGV[at + 8]
    if score == '' and moves(stored[1], ARGV[at + 6]) then score = stored_score(id, ARGV[at + 6]) end
    -- Who decides anew on one that cannot be read is told so by its fields.
    local word, holder = 'stale', nil
    if version and version - version == 0 and score then word, holder = refusal(at, id, stored[1], stored[2] or '') end
    if word then
      answers[n] = {word, call('HGETALL', jobs .. id), holder or ''}
    else
      accepted[#accepted + 1] = {at, n, stored[1], stored[2], version, score}
    end
  end
  at = at + HEAD + ARGV[at + 11] + ARGV[at + 12]
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

local function enter(at, id, state, score)
  if finished[state] then
    gather(entered, finished[state], score, id)
  else
    local queue = tonumber(ARGV[at + 9])
    if state == 'queued' then
      gather(entered, KEYS[queue], score, id)
      gather(listed, queues, nil, queue_name(KEYS[queue]))
    else
      gather(entered, scheduled, score, id)
    end
    woken[KEYS[queue + 1]] = true
  end
end

local function drop(key, names)
  for name in string.gmatch(names, '%S+') do call('HDEL', key, name) end
end

-- Deadlines hold only what was never started, and comes back as such.
local function move_deadline(key, id, state, deadline)
  if deadline == '' or (call('HGET', key, 'attempt') or '0') ~= '0' then return end
  if finished[state] then gather(left, deadlines, nil, id) else gather(entered, deadlines, deadline, id) end
end

local function write_more(at, key, id, state)
  drop(key, ARGV[at + 2])
  move_deadline(key, id, state, ARGV[at])
  append_log(key, at + 3)
  return behind_log(at + 3)
end

-- A finished job goes by itself an hour after `purge` should have taken it.
local lifetimes = {}
local function lifetime(score)
  if not lifetimes[score] then lifetimes[score] = whole(math.max(score - now, 0) + HOUR) end
  return lifetimes[score]
end

for _, item in ipairs(accepted) do
  local at, before, token, version, score = item[1], item[3], item[4], item[5], item[6]
  local id, after, next_version, life = ARGV[at], ARGV[at + 6], ARGV[at + 4], ARGV[at + 5]
  local key, fields, more = jobs .. id, at + HEAD, more_of(at)
  local as_decided = version + 1 == tonumber(next_version)
  if not as_decided then
    next_version = string.format('%d', version + 1)
    life = lived(call('HGET', key, 'life'), next_version, string.sub(life, -1))
    drop(key, ARGV[at + 10])
  end
  call('HSET', key, 'data', WORDS[after], 'state', after, 'version', next_version, 'life', life,
    unpack(ARGV, fields, fields - 1 + ARGV[at + 11]))
  if more then
    local first = write_more(more, key, id, after)
    for from = first, more - 1 + ARGV[at + 12], DELIVERY do
      put_delivery(id, unpack(ARGV, from, from + DELIVERY - 1))
    end
  end
  if moves(before, after) then
    leave(at, id, before, token)
    enter(at, id, after, score)
  end
  if finished[after] and not flag(at, 'e') then
    call('PEXPIRE', key, lifetime(ARGV[at + 8]))
  elseif finished[before] then
    call('PERSIST', key)
  end
  entries[#entries + 1] = id
  entries[#entries + 1] = next_version .. ' ' .. after .. ' ' .. ARGV[at + 7]
  answers[item[2]] = as_decided and 1 or {'written', call('HGETALL', key)}
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
