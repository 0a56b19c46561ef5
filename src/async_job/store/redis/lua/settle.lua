#!lua flags=allow-oom
-- ARGV 4…: deliveries, each its job, id, time of creation, when it is due ('' unless pending), and the whole as JSON;
-- then the tries and the due time that the stored one has to have, '' and '' for any.

local function is_as_taken(stored, tries, due)
  if tries == '' then return true end
  local found = cjson.decode(stored)
  return found.tries == tonumber(tries) and found.due_at == tonumber(due)
end

for at = 4, #ARGV, 7 do
  local stored = call('HGET', deliveries, ARGV[at + 1])
  if stored and is_as_taken(stored, ARGV[at + 5], ARGV[at + 6]) then put_delivery(unpack(ARGV, at, at + 4)) end
end
return {now}
