-- : running — nothing comes back for a run that is lost
SELECT cancel_requested_at FROM jobs WHERE id = ? AND token = ? AND state = 'running';

-- : progress
UPDATE jobs SET progress = ?, version = version + 1 WHERE id = ?;

-- : logged
UPDATE jobs SET logged = logged + ? WHERE id = ?;

-- : last_line
SELECT max(number) FROM log_lines WHERE id = ?;

-- : line
INSERT INTO log_lines (id, number, at, message) VALUES (?, ?, ?, ?);

-- : trim
DELETE FROM log_lines WHERE id = ? AND number <= ?;
