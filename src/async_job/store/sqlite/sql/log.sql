-- : log
SELECT at, message FROM log_lines WHERE id = ? AND number > ? ORDER BY number;
