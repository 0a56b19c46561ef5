-- Where ARGV goes on behind what append_log takes from `at`.
local function behind_log(at)
  local lines = tonumber(ARGV[at + 1])
  return lines == 0 and at + 2 or at + 6 + lines
end

-- Adds to a job's log what ARGV has from `at`: the log's place in KEYS and how many lines; then, if there are any, how many
-- were said, the bytes of their text, how many lines and bytes are kept, and the lines. The oldest go.
local function append_log(key, at)
  local lines = tonumber(ARGV[at + 1])
  if lines == 0 then return end
  local first, log = at + 6, KEYS[tonumber(ARGV[at])]
  local bytes = redis.pcall('HINCRBY', key, 'log_bytes', ARGV[at + 3])
  -- Where a number is none, nothing more is kept.
  if type(bytes) == 'table' or type(redis.pcall('HINCRBY', key, 'logged', ARGV[at + 2])) == 'table' then return end
  local length = call('RPUSH', log, unpack(ARGV, first, first + lines - 1))
  local kept_lines, kept_bytes, before = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), bytes
  if length > lines and bytes == tonumber(ARGV[at + 3]) then
    -- The lines before have no text, or are from a time when bytes were not counted.
    for _, line in ipairs(call('LRANGE', log, 0, length - lines - 1)) do bytes = bytes + #cjson.decode(line)[2] end
  end
  while length > 0 and (length > kept_lines or bytes > kept_bytes) do
    bytes = bytes - #cjson.decode(call('LPOP', log))[2]
    length = length - 1
  end
  if bytes ~= before then call('HSET', key, 'log_bytes', whole(bytes)) end
end
