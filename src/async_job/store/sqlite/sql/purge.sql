-- : purge — log lines and deliveries go with their job, by a trigger
DELETE FROM jobs WHERE seq IN (
    SELECT seq FROM jobs
    WHERE kept_until IS NOT NULL AND kept_until <= ? AND finished_at IS NOT NULL
    ORDER BY kept_until, id LIMIT ?
)
RETURNING 1;

-- : keys — idempotency keys whose time is over
DELETE FROM idempotency_keys WHERE name IN (
    SELECT name FROM idempotency_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT ?
)
RETURNING 1;
