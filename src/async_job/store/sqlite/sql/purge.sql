-- : purge — log lines go with their job, by a trigger
DELETE FROM jobs WHERE seq IN (
    SELECT seq FROM jobs
    WHERE state IN ('succeeded', 'failed', 'cancelled', 'expired') AND kept_until IS NOT NULL AND kept_until <= ?
    ORDER BY kept_until, id LIMIT ?
)
RETURNING 1;
