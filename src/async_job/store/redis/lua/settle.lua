#!lua flags=allow-oom
-- ARGV 4…: deliveries, each its job, id, time of creation, when it is due ('' unless pending), and the whole as JSON.

for at = 4, #ARGV, 5 do
  if call('HEXISTS', deliveries, ARGV[at + 1]) == 1 then put_delivery(unpack(ARGV, at, at + 4)) end
end
return {now}
