-- : worker
SELECT enrolment, lease_end, last_claim FROM workers WHERE id = ?;

-- : again — what the same claim was given before
SELECT {columns} FROM jobs WHERE worker = ? AND token = ? AND state = 'running';

-- : remember
UPDATE workers SET last_claim = ? WHERE enrolment = ?;

-- : next_due
SELECT min(scheduled_for) FROM jobs WHERE state = 'scheduled';

-- : promote
UPDATE jobs SET
    state = 'queued', reason = 'due', version = version + 1, updated_at = :now,
    life = substr(life || (version + 1) || 'q', -60)
WHERE seq IN (
    SELECT seq FROM jobs WHERE state = 'scheduled' AND scheduled_for <= :now ORDER BY scheduled_for, id LIMIT :limit
);

-- : start — the next of a queue that is not paused, without those whose deadline passed before their first start
UPDATE jobs SET
    state = 'running', reason = 'claimed', version = version + 1, updated_at = :now,
    started_at = :now, attempt = attempt + 1, token = :token, life = substr(life || (version + 1) || 'r', -60)
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE state = 'queued' AND queue = :queue AND NOT (attempt = 0 AND start_by IS NOT NULL AND start_by <= :now)
        AND NOT EXISTS (SELECT 1 FROM queues WHERE name = :queue AND paused)
    ORDER BY rank, id LIMIT :limit
)
RETURNING {columns};

-- : count
INSERT INTO queues (name, started) VALUES (?, ?) ON CONFLICT DO UPDATE SET started = started + excluded.started;
