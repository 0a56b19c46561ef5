-- : overdue
SELECT {columns} FROM jobs
WHERE start_by IS NOT NULL AND start_by <= :now AND attempt = 0 AND state IN ('scheduled', 'queued')
ORDER BY start_by, id LIMIT :limit;
