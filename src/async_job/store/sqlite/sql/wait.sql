-- : ready
SELECT 1 FROM jobs
WHERE state = 'queued' AND queue = :queue AND NOT EXISTS (SELECT 1 FROM queues WHERE name = :queue AND paused)
LIMIT 1;
