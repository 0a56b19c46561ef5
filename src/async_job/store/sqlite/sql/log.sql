-- : log
SELECT at, message FROM log_lines WHERE id = ? ORDER BY number LIMIT -1 OFFSET ?;
