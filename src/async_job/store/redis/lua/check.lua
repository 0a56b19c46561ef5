#!lua flags=allow-oom
-- KEYS 12: the index that the ids are from; none: they are from the records. ARGV 4: 'repair' or '', 5…: ids.
-- For each id compares the job with that index and with those where it has to be. Answers ids and problems in turn.
-- Repairs the indexes if it is asked to, by what the job says of itself.

local UNNAMED = #root
local FOR_EVER = 3153600000000
local walked = KEYS[12]
local is_finished = {}
local NUMBERS = {
  'created_at', 'scheduled_for', 'priority', 'version', 'attempt', 'started_at', 'finished_at', 'kept_until', 'start_by'
}
for _, key in pairs(finished) do is_finished[key] = true end

-- What is claimed together is found by this number times that of the claim, and the next ones.
local CLAIMED_AT_ONCE = 256
local mend = ARGV[4] == 'repair' and call or function() end
local answers = {now}
local function tell(id, problem)
  answers[#answers + 1] = id
  answers[#answers + 1] = problem
end

-- The first field that is no number and has to be one. Where such a job has to be nobody can tell.
local function no_number(job)
  for _, name in ipairs(NUMBERS) do
    if job[name] and not is_finite(tonumber(job[name])) then return name end
  end
end

-- Where the job has to be, with its score; true: with whatever score.
local function wanted(job)
  local places, ready = {}, tonumber(job.scheduled_for or job.created_at)
  if job.state == 'queued' then
    places[root .. 'queue:' .. (job.queue or 'default')] = ready - (job.priority or 0) * 60000
  elseif job.state == 'scheduled' then
    places[scheduled] = ready
  elseif job.state == 'running' then
    places[running] = tonumber(job.started_at)
    places[root .. 'claims:' .. worker_of(job.token)] = true
  else
    places[finished[job.state]] = tonumber(job.kept_until) or (job.finished_at or 0) + FOR_EVER
  end
  if not finished[job.state] and (job.attempt or '0') == '0' and job.start_by then
    places[deadlines] = tonumber(job.start_by)
  end
  return places
end

local function enter(key, id, place, job)
  mend('ZADD', key, place == true and string.match(job.token, '%d+$') * CLAIMED_AT_ONCE or place, id)
end

-- Whether a job is live under this unique key.
local function is_live(id, key)
  local job = redis.pcall('HMGET', jobs .. id, 'state', 'type', 'unique_key')
  return job[1] and not finished[job[1]] and job[2] and job[3] and unique_key(job[2], job[3]) == key
end

-- Whether it is in this index as it has to be; place nil: not at all.
local function compare(id, key, place, job)
  local score = tonumber(call('ZSCORE', key, id) or '')
  local name = string.sub(key, UNNAMED + 1)
  if score and not place then
    -- A record that went by itself, past the time it was to be kept, is left to `purge`.
    if job or not is_finished[key] or score > now then
      tell(id, 'is in ' .. name .. ' and should not be')
      mend('ZREM', key, id)
    end
  elseif place and (not score or place ~= true and score ~= place) then
    tell(id, (score and 'has the wrong place in ' or 'is missing in ') .. name)
    enter(key, id, place, job)
  end
end

local function compare_all(id, places, job)
  for key, place in pairs(places) do compare(id, key, place, job) end
  if walked and not places[walked] then compare(id, walked, nil, job) end
end

-- What no index can hold, or holds beside the job's place.
local function look_at(id, job)
  local worker = worker_of(job.token)
  if job.state == 'running' and not call('ZSCORE', leases, worker) then
    tell(id, 'running under ' .. worker .. ', which is not known')
    -- As a retired one, whose jobs are taken over.
    mend('ZADD', leases, 0, worker)
  end
  if job.state == 'queued' and call('SISMEMBER', queues, job.queue or 'default') == 0 then
    tell(id, 'its queue is not listed')
    mend('SADD', queues, job.queue or 'default')
  end
  if job.unique_key and not finished[job.state] then
    local key = unique_key(job.type, job.unique_key)
    local holder = call('GET', key)
    if holder ~= id then
      tell(id, 'live, but its unique key is not its own')
      if holder and is_live(holder, key) then mend('HDEL', jobs .. id, 'unique_key') else mend('SET', key, id) end
    end
  end
end

for at = 5, #ARGV do
  local id, job = ARGV[at], {}
  local fields = fields_of(id)
  for n = 1, #fields, 2 do job[fields[n]] = fields[n + 1] end
  local good = job.state and job.type and job.created_at
    and (finished[job.state] or job.state == 'queued' or job.state == 'scheduled' or job.state == 'running')
  local wrong = no_number(job)
  if good and wrong then
    tell(id, 'cannot be read: ' .. wrong .. ' is no number')
  elseif good then
    if job.state == 'running' and not string.find(job.token or '', ':%d+$') then
      tell(id, 'running without a token')
      -- One that no run has, so that it is taken over as lapsed.
      mend('HSET', jobs .. id, 'token', 'unknown:0')
      job.token = 'unknown:0'
    end
    if job.state == 'running' and not job.started_at then
      tell(id, 'running and never started')
      mend('HSET', jobs .. id, 'started_at', job.created_at)
      job.started_at = job.created_at
    end
    compare_all(id, wanted(job), job)
    look_at(id, job)
  elseif call('EXISTS', jobs .. id) == 1 then
    tell(id, 'is no job: state, type or time of creation is missing')
  else
    compare_all(id, {}, nil)
  end
end
return answers
