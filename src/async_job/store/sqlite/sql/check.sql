-- : in a state that does not exist
SELECT id FROM jobs
WHERE state NOT IN ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired');

-- : running under a worker that is not known
SELECT id FROM jobs WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = jobs.worker);

-- : running without a token
SELECT id FROM jobs WHERE state = 'running' AND token IS NULL;

-- : running and never started
SELECT id FROM jobs WHERE state = 'running' AND (attempt = 0 OR started_at IS NULL);

-- : finished at no time
SELECT id FROM jobs WHERE state IN ('succeeded', 'failed', 'cancelled', 'expired') AND finished_at IS NULL;

-- : live and already finished
SELECT id FROM jobs
WHERE state IN ('scheduled', 'queued', 'running') AND (finished_at IS NOT NULL OR kept_until IS NOT NULL);

-- : succeeded without a result
SELECT id FROM jobs WHERE state = 'succeeded' AND result IS NULL;

-- : shares its unique key with another live job
SELECT id FROM jobs
WHERE state IN ('scheduled', 'queued', 'running') AND unique_key IS NOT NULL AND (type, unique_key) IN (
    SELECT type, unique_key FROM jobs
    WHERE state IN ('scheduled', 'queued', 'running') AND unique_key IS NOT NULL
    GROUP BY type, unique_key HAVING count(*) > 1
);

-- : ranked in another place than its time and priority say
SELECT id FROM jobs WHERE rank <> scheduled_for - priority * :priority_step;

-- : has log lines and is not there
SELECT DISTINCT id FROM log_lines WHERE id NOT IN (SELECT id FROM jobs);

-- : has deliveries and is not there
SELECT DISTINCT job_id FROM deliveries WHERE job_id NOT IN (SELECT id FROM jobs);

-- : has a delivery in a state that does not exist
SELECT DISTINCT job_id FROM deliveries WHERE state NOT IN ('pending', 'delivered', 'given_up');

-- : started, and its queue was never claimed from
SELECT id FROM jobs WHERE attempt > 0 AND queue NOT IN (SELECT name FROM queues WHERE started > 0);

-- : tally says another number of jobs in this state and queue than there are
SELECT coalesce(counted.state, tally.state) || '/' || coalesce(counted.queue, tally.queue)
FROM (SELECT state, queue, count(*) AS n FROM jobs GROUP BY state, queue) AS counted
FULL JOIN tally ON tally.state = counted.state AND tally.queue = counted.queue
WHERE coalesce(counted.n, 0) <> coalesce(tally.n, 0);

-- : rows — the jobs in a known state with JSON in them, to be read one by one
SELECT {columns} FROM jobs
WHERE (labels IS NOT NULL OR progress IS NOT NULL OR error IS NOT NULL OR attempts IS NOT NULL)
AND state IN ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired');
