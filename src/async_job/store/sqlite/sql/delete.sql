-- : delete — log lines and deliveries go with their job, by a trigger; nothing comes back for one that has not ended
DELETE FROM jobs WHERE id = ? AND state IN ('succeeded', 'failed', 'cancelled', 'expired') RETURNING id;
