#!lua flags=allow-oom
-- ARGV 4: 'repair' or '', 5…: ids of deliveries. Compares each with its job and the indexes. Answers ids of jobs and problems in turn.

local mend = ARGV[4] == 'repair' and call or function() end
local answers = {now}
local function tell(id, problem)
  answers[#answers + 1] = id
  answers[#answers + 1] = problem
end

-- A record that went by itself is left to `purge`, and its deliveries are too.
local function has_job(id)
  if call('EXISTS', jobs .. id) == 1 then return true end
  for _, index in pairs(finished) do
    if call('ZSCORE', index, id) then return true end
  end
  return false
end

local function forget(id, job)
  mend('HDEL', deliveries, id)
  mend('ZREM', due_deliveries, id)
  mend('ZREM', recent_deliveries, id)
  if job then mend('ZREM', deliveries_of(job), id) end
end

-- The delivery that a text holds; nil: it cannot be read.
local function read(text)
  local is_json, delivery = pcall(cjson.decode, text)
  local good = is_json and type(delivery) == 'table' and type(delivery.job_id) == 'string'
    and type(delivery.created_at) == 'number' and (delivery.state ~= 'pending' or type(delivery.due_at) == 'number')
  return good and delivery
end

for at = 5, #ARGV do
  local id = ARGV[at]
  local text = call('HGET', deliveries, id)
  local due, made = tonumber(call('ZSCORE', due_deliveries, id) or ''), tonumber(call('ZSCORE', recent_deliveries, id) or '')
  local delivery = text and read(text)
  if delivery then
    local job = delivery.job_id
    local of_job = tonumber(call('ZSCORE', deliveries_of(job), id) or '')
    local wanted = delivery.state == 'pending' and delivery.due_at or nil
    if not has_job(job) then
      tell(job, 'is gone, but not its delivery ' .. id)
      forget(id, job)
    elseif due ~= wanted then
      tell(job, 'its delivery ' .. id .. ' has the wrong place in deliveries:due')
      if wanted then mend('ZADD', due_deliveries, wanted, id) else mend('ZREM', due_deliveries, id) end
    end
    if has_job(job) and (made ~= delivery.created_at or of_job ~= delivery.created_at) then
      tell(job, 'its delivery ' .. id .. ' is not where deliveries are looked for')
      mend('ZADD', recent_deliveries, delivery.created_at, id)
      mend('ZADD', deliveries_of(job), delivery.created_at, id)
    end
  elseif text then
    tell(id, 'is a delivery that cannot be read')
  elseif due or made then
    tell(id, 'is in an index of deliveries and should not be')
    forget(id)
  end
end
return answers
