-- : running without a token — one that no run has, so that it is taken over as lapsed
UPDATE jobs SET token = 'unknown:0' WHERE state = 'running' AND token IS NULL;

-- : running and never started
UPDATE jobs SET attempt = max(attempt, 1), started_at = coalesce(started_at, updated_at)
WHERE state = 'running' AND (attempt = 0 OR started_at IS NULL);

-- : running under a worker that is not known — it is retired, and whoever rescues takes over what it held
INSERT INTO workers (id, host, pid, started_at, queues, concurrency, version, lease_end)
SELECT DISTINCT worker, '', 0, :now, '[]', 0, '', 0 FROM jobs
WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = jobs.worker);

-- : finished at no time
UPDATE jobs SET finished_at = updated_at
WHERE state IN ('succeeded', 'failed', 'cancelled', 'expired') AND finished_at IS NULL;

-- : shares its unique key with another live job — the oldest keeps it
UPDATE jobs SET unique_key = NULL
WHERE state IN ('scheduled', 'queued', 'running') AND unique_key IS NOT NULL AND EXISTS (
    SELECT 1 FROM jobs AS older
    WHERE older.state IN ('scheduled', 'queued', 'running') AND older.seq < jobs.seq
        AND older.type = jobs.type AND older.unique_key = jobs.unique_key
);

-- : live and already finished
UPDATE jobs SET finished_at = NULL, kept_until = NULL
WHERE state IN ('scheduled', 'queued', 'running') AND (finished_at IS NOT NULL OR kept_until IS NOT NULL);

-- : ranked in another place than its time and priority say — the rank is computed anew with whatever is written
UPDATE jobs SET priority = priority WHERE rank <> scheduled_for - priority * :priority_step;

-- : has log lines and is not there
DELETE FROM log_lines WHERE id NOT IN (SELECT id FROM jobs);

-- : has deliveries and is not there
DELETE FROM deliveries WHERE job_id NOT IN (SELECT id FROM jobs);

-- : has a delivery in a state that does not exist — rather sent twice than never
UPDATE deliveries SET state = 'pending' WHERE state NOT IN ('pending', 'delivered', 'given_up');

-- : started, and its queue was never claimed from
INSERT INTO queues (name, started)
SELECT queue, count(*) FROM jobs
WHERE attempt > 0 AND queue NOT IN (SELECT name FROM queues WHERE started > 0) GROUP BY queue
ON CONFLICT DO UPDATE SET started = excluded.started;

-- : tally says another number of jobs in this state and queue than there are
DELETE FROM tally;
INSERT INTO tally SELECT state, queue, count(*) FROM jobs GROUP BY state, queue;
