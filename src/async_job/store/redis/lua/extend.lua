#!lua flags=allow-oom
-- ARGV 4: the lease in ms, 5…: workers. Answers 1 for each that is held, 0 for each that is retired or unknown.

local answers = {now}
for at = 5, #ARGV do
  local lease = call('ZSCORE', leases, ARGV[at])
  local held = lease and lease ~= '0'
  if held then call('ZADD', leases, now + ARGV[4], ARGV[at]) end
  answers[at - 3] = held and 1 or 0
end
return answers
