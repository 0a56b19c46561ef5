#!lua flags=allow-oom
-- KEYS 12: the worker, 13: its claims, 14: paused queues, 15: how many jobs each queue has started, 16…: each queue and
-- its wake list in turn.
-- ARGV 4: worker, 5: number of the claim, 6: limit, 7: token.
-- Answers the time, when the next scheduled job is due (or ''), and each job as it was: id, fields, and (unless
-- the claim is a repeated one) its new attempt, version and life. Without those: one that is left out, because a number
-- that is needed here is none; it leaves its index, to which `check` brings it back when it is mended.

local BATCH = 256
local MOST_SKIPPED = 8192
local QUEUES = 16
local CLAIMS_IN_FLIGHT = 2
local worker, claims = KEYS[12], KEYS[13]
local number, limit, token = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local lease = tonumber(call('ZSCORE', leases, ARGV[4]) or 0)
if lease == 0 then
  return redis.error_reply('NOTENROLLED worker ' .. ARGV[4] .. ' is retired or was never enrolled')
end
local last = tonumber(call('HGET', worker, 'claim') or 0)
if number <= last - CLAIMS_IN_FLIGHT then
  return redis.error_reply('STALECLAIM claim ' .. ARGV[5] .. ' of worker ' .. ARGV[4] .. ': already at ' .. last)
end

local function next_due()
  return tonumber(call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2])
end

-- Claims are kept under their number and place, so that a repeated claim finds its own in order.
if number <= last then
  local held = {}
  for n, id in ipairs(call('ZRANGEBYSCORE', claims, number * BATCH, number * BATCH + BATCH - 1)) do
    held[n] = {id, fields_of(id)}
  end
  return {now, next_due() or '', held}
end
if lease <= now then
  return redis.error_reply('LEASEOVER the lease of worker ' .. ARGV[4] .. ' is over')
end

local entries, left_out = {}, {}

local function promote()
  local ids = call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, BATCH)
  local queued, woken = {}, {}
  for _, id in ipairs(ids) do
    local key = jobs .. id
    local job = redis.pcall('HMGET', key, 'queue', 'priority', 'scheduled_for', 'created_at', 'version', 'life')
    -- An id without a job has nothing to promote; it leaves the index with the others.
    local ready, priority, version = tonumber(job[3] or job[4]), tonumber(job[2] or 0), tonumber(job[5] or 1)
    local rank = ready and priority and ready - priority * 60000
    if is_finite(rank) and is_finite(version) then
      local queue = job[1] or 'default'
      version = whole(version + 1)
      call('HSET', key, 'state', 'queued', 'reason', 'due', 'updated_at', clock, 'version', version,
        'life', lived(job[6], version, 'q'))
      gather(queued, root .. 'queue:' .. queue, rank, id)
      entries[#entries + 1] = id
      entries[#entries + 1] = version .. ' queued due'
      woken[queue] = true
    elseif job[4] then
      left_out[#left_out + 1] = {id, fields_of(id)}
    end
  end
  call('ZREM', scheduled, unpack(ids))
  write_all('ZADD', queued)
  for queue in pairs(woken) do
    call('SADD', queues, queue)
    wake(root .. 'wake:' .. queue)
  end
end

local due = next_due()
if due and due <= now then
  promote()
  due = next_due()
end

-- Takes the first ids off a queue, without those whose deadline has passed: they are the expirer's.
local function take(queue, wanted)
  local late = tonumber(call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')[2])
  if not late or late > now then
    local ids = call('ZRANGE', queue, 0, wanted - 1)
    if #ids > 0 then call('ZREMRANGEBYRANK', queue, 0, #ids - 1) end
    return ids
  end
  local found, from = {}, 0
  while #found < wanted and from < MOST_SKIPPED do
    local ids = call('ZRANGE', queue, from, from + BATCH - 1)
    if #ids == 0 then break end
    for n, deadline in ipairs(call('ZMSCORE', deadlines, unpack(ids))) do
      if #found < wanted and not (deadline and tonumber(deadline) <= now) then found[#found + 1] = ids[n] end
    end
    from = from + BATCH
  end
  if #found > 0 then call('ZREM', queue, unpack(found)) end
  return found
end

local answers, claimed, started, off_deadlines = {}, {}, {}, {}

local function start(id)
  local key = jobs .. id
  local fields = fields_of(id)
  local job = {}
  for at = 1, #fields, 2 do job[fields[at]] = fields[at + 1] end
  -- The queue held an id that is no queued job; it only leaves the queue.
  if job.state ~= 'queued' then return end
  local attempt, version = tonumber(job.attempt or 0), tonumber(job.version or 1)
  local both = attempt and version and attempt + version
  if not (both and both - both == 0) then
    left_out[#left_out + 1] = {id, fields}
    return
  end
  attempt, version = whole(attempt + 1), whole(version + 1)
  local life = lived(job.life, version, 'r')
  -- A running job without them has the reason `claimed`, and was updated when it started (record.py).
  if job.reason or job.updated_at then call('HDEL', key, 'reason', 'updated_at') end
  call('HSET', key, 'data', 'STARTING', 'state', 'running', 'token', token, 'attempt', attempt, 'started_at', clock,
    'version', version, 'life', life)
  claimed[#claimed + 1] = string.format('%d', number * BATCH + #answers)
  claimed[#claimed + 1] = id
  started[#started + 1] = clock
  started[#started + 1] = id
  entries[#entries + 1] = id
  entries[#entries + 1] = version .. ' running claimed'
  if job.start_by then off_deadlines[#off_deadlines + 1] = id end
  answers[#answers + 1] = {id, fields, attempt, version, life}
end

local paused = {}
for _, queue in ipairs(call('SMEMBERS', KEYS[14])) do paused[root .. 'queue:' .. queue] = true end

local taken = 0
for at = QUEUES, #KEYS, 2 do
  local queue, before = KEYS[at], #answers
  if before >= limit then break end
  local ids = paused[queue] and {} or take(queue, limit - before)
  taken = taken + #ids
  if #ids > 0 then
    for _, id in ipairs(ids) do start(id) end
    call('HINCRBY', KEYS[15], queue_name(queue), #answers - before)
  end
end

call('HSET', worker, 'claim', number)
if #answers > 0 then
  call('ZADD', claims, unpack(claimed))
  call('ZADD', running, unpack(started))
  if #off_deadlines > 0 then call('ZREM', deadlines, unpack(off_deadlines)) end
end
record(entries)
-- Also where some of the ids turned out to be no job.
if taken >= limit then
  for at = QUEUES, #KEYS, 2 do
    if not paused[KEYS[at]] then wake(KEYS[at + 1], KEYS[at]) end
  end
end
for _, job in ipairs(left_out) do answers[#answers + 1] = job end
return {now, due or '', answers}
