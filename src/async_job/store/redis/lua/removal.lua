-- Removes ended jobs with all that belongs to them. `indexes`: for each id, the key of the index that it is in.
local function remove(ids, indexes)
  if #ids == 0 then return end
  local names, outboxes, left = {}, {}, {}
  for n, id in ipairs(ids) do
    outboxes[n] = deliveries_of(id)
    names[#names + 1] = outboxes[n]
    names[#names + 1] = jobs .. id
    names[#names + 1] = root .. 'log:' .. id
    gather(left, indexes[n], nil, id)
  end
  for _, delivery in ipairs(call('ZUNION', #outboxes, unpack(outboxes))) do
    call('HDEL', deliveries, delivery)
    call('ZREM', due_deliveries, delivery)
    call('ZREM', recent_deliveries, delivery)
  end
  call('DEL', unpack(names))
  write_all('ZREM', left)
end
