-- : rescuable — only what runs is looked at; a worker that is not known counts as lapsed
SELECT {columns}
FROM jobs LEFT JOIN (SELECT id AS worker_id, lease_end FROM workers) ON worker_id = worker
WHERE state = 'running' AND coalesce(lease_end, 0) <= :now
ORDER BY coalesce(lease_end, 0), worker, started_at, rank, id
LIMIT :limit;

-- : forgettable — workers that hold nothing, and are retired or have lapsed long ago
SELECT 1 FROM workers
WHERE (lease_end = 0 OR lease_end <= :long_ago)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE worker = workers.id AND state = 'running')
LIMIT 1;

-- : forget
DELETE FROM workers
WHERE (lease_end = 0 OR lease_end <= :long_ago)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE worker = workers.id AND state = 'running');
