#!lua flags=no-writes
-- KEYS 12: an index. ARGV 4: limit, 5: 'newest' to go backwards, or ''; 6, 7: score and id of the place to go on behind,
-- if any. Answers score, id and fields of each job; ids whose record is gone are left to `purge`.

local PAGE, PAGES = 256, 16
local index, limit, newest = KEYS[12], tonumber(ARGV[4]), ARGV[5] == 'newest'

-- The order of members is that of their bytes; Lua's own `<` goes by the server's locale.
local function precedes(one, other)
  for at = 1, math.min(#one, #other) do
    local this, that = string.byte(one, at), string.byte(other, at)
    if this ~= that then return this < that end
  end
  return #one < #other
end

-- How many stand before what comes next, going forwards; of those with the place's score, by halves.
local function position(score, id)
  local low, high = call('ZCOUNT', index, '-inf', '(' .. score), call('ZCOUNT', index, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call('ZRANGE', index, middle, middle)[1]
    if precedes(member, id) or (member == id and not newest) then low = middle + 1 else high = middle end
  end
  return low
end

local from, size = 0, limit
if ARGV[6] then
  from = position(ARGV[6], ARGV[7])
  if newest then from = call('ZCARD', index) - from end
end
local order = newest and {'REV', 'WITHSCORES'} or {'WITHSCORES'}
local answers = {now}
for _ = 1, PAGES do
  local page = call('ZRANGE', index, from, from + size - 1, unpack(order))
  for at = 1, #page, 2 do
    local fields = fields_of(page[at])
    if #fields > 0 then answers[#answers + 1] = {page[at + 1], page[at], fields} end
    if #answers > limit then return answers end
  end
  if #page < 2 * size then break end
  from, size = from + size, PAGE
end
return answers
