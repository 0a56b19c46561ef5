-- : insert
INSERT INTO jobs ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING id;

-- : holder — the live job that holds the unique key
SELECT id FROM jobs
WHERE type = ? AND unique_key = ? AND state IN ('scheduled', 'queued', 'running') AND unique_key IS NOT NULL;

-- : exists
SELECT 1 FROM jobs WHERE id = ?;
