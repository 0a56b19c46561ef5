-- : insert — of one job, or of some at once, a row for each
INSERT INTO jobs ({submitted_columns}, reason, version, attempt, failures, crashes)
VALUES ({submitted_places}, 'submitted', 1, 0, 0, 0) ON CONFLICT DO NOTHING RETURNING id;

-- : holder — the live job that holds the unique key
SELECT id FROM jobs WHERE type = ? AND unique_key = ? AND unique_key IS NOT NULL AND finished_at IS NULL;

-- : key — what was submitted before under an idempotency key
SELECT fingerprint, job_id FROM idempotency_keys WHERE name = ? AND expires_at > ?;

-- : keep_key
INSERT OR REPLACE INTO idempotency_keys (name, fingerprint, expires_at, job_id) VALUES (?, ?, ?, ?);

-- : exists
SELECT 1 FROM jobs WHERE id = ?;
