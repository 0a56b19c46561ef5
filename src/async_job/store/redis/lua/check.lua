#!lua flags=no-writes
-- KEYS 12…: further indexes: queues and claims. ARGV 4…: ids.
-- For each id compares the job with all indexes. Answers ids and problems in turn.

local UNNAMED = #root
local FOR_EVER = 3153600000000
local indexes = {scheduled, deadlines, running}
local is_finished = {}
for _, key in pairs(finished) do
  indexes[#indexes + 1] = key
  is_finished[key] = true
end
for at = 12, #KEYS do indexes[#indexes + 1] = KEYS[at] end

local answers = {now}
local function tell(id, problem)
  answers[#answers + 1] = id
  answers[#answers + 1] = problem
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

local function compare(id, places, there)
  local known = {}
  for _, key in ipairs(indexes) do
    known[key] = true
    local score, place = tonumber(call('ZSCORE', key, id) or ''), places[key]
    local name = string.sub(key, UNNAMED + 1)
    if score and not place then
      -- A record that went by itself, past the time it was to be kept, is left to `purge`.
      if there or not is_finished[key] or score > now then tell(id, 'is in ' .. name .. ' and should not be') end
    elseif place and not score then tell(id, 'is missing in ' .. name)
    elseif place and place ~= true and score ~= place then tell(id, 'has the wrong place in ' .. name) end
  end
  for key in pairs(places) do
    if not known[key] and not call('ZSCORE', key, id) then
      tell(id, 'is missing in ' .. string.sub(key, UNNAMED + 1))
    end
  end
end

for at = 4, #ARGV do
  local id, job = ARGV[at], {}
  local kind = call('TYPE', jobs .. id).ok
  if kind == 'hash' then
    local fields = call('HGETALL', jobs .. id)
    for n = 1, #fields, 2 do job[fields[n]] = fields[n + 1] end
  end
  local good = job.state and job.type and job.created_at
    and (finished[job.state] or job.state == 'queued' or job.state == 'scheduled' or job.state == 'running')
  if good then
    compare(id, wanted(job), true)
    if job.state == 'running' and not call('ZSCORE', leases, worker_of(job.token)) then
      tell(id, 'running under ' .. worker_of(job.token) .. ', which is not known')
    end
    if job.state == 'queued' and call('SISMEMBER', queues, job.queue or 'default') == 0 then
      tell(id, 'its queue is not listed')
    end
    if job.unique_key and not finished[job.state] and call('GET', unique_key(job.type, job.unique_key)) ~= id then
      tell(id, 'live, but its unique key is not its own')
    end
  elseif kind ~= 'none' then
    tell(id, 'is no job: state, type or time of creation is missing')
  else
    compare(id, {}, false)
  end
end
return answers
