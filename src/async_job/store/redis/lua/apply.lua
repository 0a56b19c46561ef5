#!lua flags=allow-oom
-- KEYS 13…: queues, wake lists, unique keys and logs, which the items name by their place in KEYS (0: none).
-- ARGV 4: how many items, then each: id; guard: state, token, uncancelled, lapsed; outcome; the version that was
-- decided on; after: state, reason, when it may start ('': as stored), ms by which priority lowers the rank, when
-- it ended, until when it is kept, deadline; queue, wake list, unique key, log; how many fields and values to set, to
-- drop, to drop if the version is another one, lines for the log; and these.
-- Answers for each its new version, or a word with the fields of the job.

local HOUR = 3600000
local LOG_LINES_KEPT = 1000
local HEAD = 22

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

-- What is wrong with the item ('stale', 'told'), and who holds its unique key; nil: it may be written.
local function refusal(at, id, state, token, cancelled)
  local given = ARGV[at + 2]
  if state ~= ARGV[at + 1] or (given ~= '' and token ~= given)
    or (ARGV[at + 3] == '1' and cancelled) or (ARGV[at + 4] == '1' and not lapsed(token)) then
    if ARGV[at + 5] == '1' and token == given and state ~= 'running' then return 'told' end
    return 'stale'
  end
  local unique = tonumber(ARGV[at + 16])
  if unique > 0 then
    local key, ends = KEYS[unique], finished[ARGV[at + 7]]
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
for n = 1, tonumber(ARGV[4]) do
  local id = ARGV[at]
  local stored = redis.pcall('HMGET', jobs .. id, 'state', 'token', 'cancel_requested_at', 'version', 'attempt',
    'scheduled_for', 'created_at')
  if not stored[1] then
    answers[n + 1] = {'gone'}
  else
    local word, holder = refusal(at, id, stored[1], stored[2] or '', stored[3])
    if word then
      answers[n + 1] = {word, call('HGETALL', jobs .. id), holder or ''}
    else
      accepted[#accepted + 1] = {at, n + 1, stored}
    end
  end
  at = at + HEAD + ARGV[at + 18] + ARGV[at + 19] + ARGV[at + 20] + ARGV[at + 21]
end

local left, entered, entries, woken = {}, {}, {}, {}

local function leave(at, id, state, token)
  if state == 'queued' then gather(left, KEYS[tonumber(ARGV[at + 14])], nil, id)
  elseif state == 'scheduled' then gather(left, scheduled, nil, id)
  elseif state == 'running' then
    gather(left, running, nil, id)
    gather(left, root .. 'claims:' .. worker_of(token), nil, id)
  else
    gather(left, finished[state], nil, id)
    gather(left, kept, nil, id)
  end
end

local function enter(at, id, state, stored)
  local ready = ARGV[at + 9]
  if ready == '' then ready = stored[6] or stored[7] end
  if finished[state] then
    gather(entered, finished[state], ARGV[at + 11], id)
    if ARGV[at + 12] ~= '' then gather(entered, kept, ARGV[at + 12], id) end
  else
    if state == 'queued' then gather(entered, KEYS[tonumber(ARGV[at + 14])], ready - ARGV[at + 10], id)
    else gather(entered, scheduled, ready, id) end
    woken[ARGV[at + 15]] = true
  end
end

-- A finished job goes by itself an hour after `purge` should have taken it.
local function expire(at, key, before, after)
  if finished[after] and ARGV[at + 12] ~= '' then
    call('PEXPIRE', key, math.max(ARGV[at + 12] - now, 0) + HOUR)
  elseif finished[before] then
    call('PERSIST', key)
  end
end

local function write(at, id, stored, version)
  local key, before, after = jobs .. id, stored[1], ARGV[at + 7]
  local set, drop, maybe, lines = ARGV[at + 18] + 0, ARGV[at + 19] + 0, ARGV[at + 20] + 0, ARGV[at + 21] + 0
  local first = at + HEAD
  call('HSET', key, 'version', version, unpack(ARGV, first, first + set - 1))
  first = first + set
  if ARGV[at + 6] + 1 ~= version then drop, maybe = drop + maybe, 0 end
  if drop > 0 then call('HDEL', key, unpack(ARGV, first, first + drop - 1)) end
  first = first + drop + maybe
  if lines > 0 then
    local log = KEYS[tonumber(ARGV[at + 17])]
    call('RPUSH', log, unpack(ARGV, first, first + lines - 1))
    call('LTRIM', log, -LOG_LINES_KEPT, -1)
  end
  if before ~= 'running' or after ~= 'running' then
    leave(at, id, before, stored[2])
    enter(at, id, after, stored)
  end
  -- Deadlines hold only what was never started.
  if ARGV[at + 13] ~= '' and (stored[5] or '0') == '0' then
    if finished[after] then gather(left, deadlines, nil, id) else gather(entered, deadlines, ARGV[at + 13], id) end
  end
  expire(at, key, before, after)
  entries[#entries + 1] = id
  entries[#entries + 1] = string.format('%d %s %s', version, after, ARGV[at + 8])
end

for _, item in ipairs(accepted) do
  local at, stored = item[1], item[3]
  local id, version = ARGV[at], (stored[4] or 1) + 1
  write(at, id, stored, version)
  if ARGV[at + 6] + 1 == version then
    answers[item[2]] = version
  else
    answers[item[2]] = {'written', call('HGETALL', jobs .. id)}
  end
end
write_all('ZREM', left)
write_all('ZADD', entered)
for key, holder in pairs(holders) do
  if holder then call('SET', key, holder) else call('DEL', key) end
end
record(entries)
for list in pairs(woken) do wake(KEYS[tonumber(list)]) end
return answers
