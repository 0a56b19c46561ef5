-- Prepended to every script: the names of the indexes, the time, and what several transitions do alike.
-- KEYS begins with the indexes (keys.py: Keys.indexes), ARGV with the time or '', the prefix of jobs and the root of all else.

local call = redis.call
local scheduled, deadlines, running, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local changes, changed, queues = KEYS[5], KEYS[6], KEYS[7]
local finished = {succeeded = KEYS[8], failed = KEYS[9], cancelled = KEYS[10], expired = KEYS[11]}
local jobs, root = ARGV[2], ARGV[3]

-- The server's own time, unless a test gives its clock's.
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
-- As text: a number is printed anew for each command that it is given to. Small ones come again and again.
local printed = {}
local function whole(number)
  local text = printed[number]
  if not text then
    text = string.format('%d', number)
    printed[number] = text
  end
  return text
end
local clock = whole(now)

local CHANGES_KEPT = 10000

-- One entry of the change log for all that the call did: names are ids, values "version state reason". The entry's
-- number is that of its last job, so that a reader sees from the numbers alone whether something was trimmed between.
local function record(entries)
  local count = #entries / 2
  if count == 0 then return end
  local last = call('INCRBY', changed, count)
  local first_kept = string.format('0-%d', math.max(last - CHANGES_KEPT, 0))
  call('XADD', changes, 'MINID', '~', first_kept, string.format('0-%d', last), unpack(entries))
end

-- One token wakes one idle worker; its claim passes the token on when it leaves work behind. `queue`: only if it holds any.
local function wake(list, queue)
  if call('LLEN', list) == 0 and (not queue or call('EXISTS', queue) == 1) then call('RPUSH', list, '1') end
end

local LIFE_KEPT = 60

-- What core/life.py calls `lived`.
local function lived(life, version, letter)
  return string.sub((life or '') .. version .. letter, -LIFE_KEPT)
end

-- Not so: nil, and the nan and inf that `tonumber` reads, too, and that no command takes.
local function is_finite(number)
  return number and number - number == 0
end

local function queue_name(key)
  return string.sub(key, #root + #'queue:' + 1)
end

local function unique_key(type, key)
  return root .. 'unique:' .. string.gsub(string.gsub(type, '%%', '%%25'), ':', '%%3A') .. ':' .. key
end

local function worker_of(token)
  return string.match(token or '', '^(.*):') or ''
end

-- The fields of a record; none where there is none, or something else than a hash.
local function fields_of(id)
  local fields = redis.pcall('HGETALL', jobs .. id)
  if not fields.err then return fields end
  if string.sub(fields.err, 1, #'WRONGTYPE') ~= 'WRONGTYPE' then error(fields) end
  return {}
end

-- Collects members of several sorted sets, to be written with one command each.
local function gather(into, key, score, member)
  local list = into[key]
  if not list then
    list = {}
    into[key] = list
  end
  if score then list[#list + 1] = score end
  list[#list + 1] = member
end

local function write_all(command, gathered)
  for key, list in pairs(gathered) do call(command, key, unpack(list)) end
end
