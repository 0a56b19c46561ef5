#!lua flags=allow-oom
-- KEYS 12…: unique keys. ARGV 4: 'repair' or ''. Answers, for those whose holder is not live or has another key, the key and the holder.

local answers = {now}
for at = 12, #KEYS do
  local holder = call('GET', KEYS[at])
  if holder then
    local job = redis.pcall('HMGET', jobs .. holder, 'state', 'type', 'unique_key')
    local own = job[2] and job[3] and unique_key(job[2], job[3])
    if not job[1] or finished[job[1]] or own ~= KEYS[at] then
      answers[#answers + 1] = KEYS[at]
      if ARGV[4] == 'repair' then call('DEL', KEYS[at]) end
      answers[#answers + 1] = holder
    end
  end
end
return answers
