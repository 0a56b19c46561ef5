-- : overdue
SELECT {columns} FROM jobs
WHERE state IN ('scheduled', 'queued') AND attempt = 0 AND start_by IS NOT NULL AND start_by <= ?
ORDER BY start_by, id LIMIT ?;
