#!lua flags=allow-oom
-- KEYS 12…: logs, which the items name by their place in KEYS (0: none).
-- ARGV 4: how many items, then each (no id comes twice): id, token, progress or '', and what append_log takes.

local answers = {now}
local at = 5
for n = 1, tonumber(ARGV[4]) do
  local key = jobs .. ARGV[at]
  local stored = redis.pcall('HMGET', key, 'state', 'token', 'cancel_requested_at', 'version')
  if stored[1] ~= 'running' or stored[2] ~= ARGV[at + 1] then
    answers[n + 1] = 'lost'
  else
    local version = tonumber(stored[4] or 1)
    if ARGV[at + 2] ~= '' and is_finite(version) then
      call('HSET', key, 'progress', ARGV[at + 2], 'version', version + 1)
    end
    append_log(key, at + 3)
    answers[n + 1] = stored[3] and 'cancel' or 'ok'
  end
  at = behind_log(at + 3)
end
return answers
