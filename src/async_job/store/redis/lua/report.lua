#!lua flags=allow-oom
-- KEYS 12…: logs, which the items name by their place in KEYS (0: none).
-- ARGV 4: how many items, then each (no id comes twice): id, token, progress or '', log, how many lines, the lines.

local LOG_LINES_KEPT = 1000
local answers = {now}
local at = 5
for n = 1, tonumber(ARGV[4]) do
  local key, lines = jobs .. ARGV[at], tonumber(ARGV[at + 4])
  local stored = redis.pcall('HMGET', key, 'state', 'token', 'cancel_requested_at', 'version')
  if stored[1] ~= 'running' or stored[2] ~= ARGV[at + 1] then
    answers[n + 1] = 'lost'
  else
    if ARGV[at + 2] ~= '' then
      call('HSET', key, 'progress', ARGV[at + 2], 'version', (stored[4] or 1) + 1)
    end
    if lines > 0 then
      local log = KEYS[tonumber(ARGV[at + 3])]
      call('RPUSH', log, unpack(ARGV, at + 5, at + 4 + lines))
      call('LTRIM', log, -LOG_LINES_KEPT, -1)
      call('HINCRBY', key, 'logged', lines)
    end
    answers[n + 1] = stored[3] and 'cancel' or 'ok'
  end
  at = at + 5 + lines
end
return answers
