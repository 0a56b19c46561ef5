#!lua flags=allow-oom
-- ARGV 4: limit. Answers how many were removed.

local ids = call('ZRANGEBYSCORE', kept, '-inf', now, 'LIMIT', 0, ARGV[4])
if #ids > 0 then
  local names = {}
  for _, id in ipairs(ids) do
    names[#names + 1] = jobs .. id
    names[#names + 1] = root .. 'log:' .. id
  end
  call('DEL', unpack(names))
  call('ZREM', kept, unpack(ids))
  for _, key in pairs(finished) do call('ZREM', key, unpack(ids)) end
end
return {now, #ids}
