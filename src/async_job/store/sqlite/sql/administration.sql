-- : queues
SELECT
    name, coalesce(n, 0), coalesce(paused, 0), coalesce(started, 0),
    (SELECT scheduled_for FROM jobs WHERE state = 'queued' AND queue = name ORDER BY rank, id LIMIT 1)
FROM (
    SELECT name FROM queues WHERE paused OR started > 0 UNION SELECT queue FROM tally WHERE state = 'queued' AND n > 0
)
LEFT JOIN queues USING (name)
LEFT JOIN tally ON tally.queue = name AND tally.state = 'queued'
ORDER BY name;

-- : pause
INSERT INTO queues (name, paused) VALUES (?, 1) ON CONFLICT DO UPDATE SET paused = 1;

-- : resume
UPDATE queues SET paused = 0 WHERE name = ?;

-- : workers
SELECT
    id, host, pid, started_at, queues, concurrency, version, lease_end,
    (SELECT count(*) FROM jobs WHERE worker = workers.id AND state = 'running')
FROM workers ORDER BY id;

-- : documents
SELECT id, value FROM documents WHERE kind = ? ORDER BY id;

-- : put_document
INSERT OR REPLACE INTO documents (kind, id, value) VALUES (?, ?, ?);

-- : delete_document
DELETE FROM documents WHERE kind = ? AND id = ? RETURNING 1;
