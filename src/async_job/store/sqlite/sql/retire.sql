-- : bar
UPDATE workers SET lease_end = 0 WHERE id = ? AND lease_end > 0;

-- : held
SELECT {columns} FROM jobs WHERE worker = ? AND state = 'running' ORDER BY started_at, rank, id;
