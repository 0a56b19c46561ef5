-- : enroll — nothing comes back for an id that was retired
INSERT INTO workers (id, host, pid, started_at, queues, concurrency, version, lease_end)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET lease_end = excluded.lease_end WHERE lease_end > 0
RETURNING id;
