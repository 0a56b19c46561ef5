-- : running — nothing comes back for a run that is lost
SELECT cancel_requested_at FROM jobs WHERE id = ? AND token = ? AND state = 'running';

-- : progress
UPDATE jobs SET progress = ?, version = version + 1 WHERE id = ?;

-- : logged
UPDATE jobs SET logged = logged + ? WHERE id = ? RETURNING logged;

-- : line
INSERT INTO log_lines (id, number, at, message) VALUES (?, ?, ?, ?);

-- : overfull
SELECT count(*) > :lines OR sum(octet_length(message)) > :bytes FROM log_lines WHERE id = :id;

-- : trim — up to the newest line with which those from it on are too many, or too long
DELETE FROM log_lines WHERE id = :id AND number <= (
    SELECT max(number) FROM (
        SELECT
            number,
            row_number() OVER (ORDER BY number DESC) AS lines,
            sum(octet_length(message)) OVER (ORDER BY number DESC) AS bytes
        FROM log_lines
        WHERE id = :id
    )
    WHERE lines > :lines OR bytes > :bytes
);
