-- : ready
SELECT 1 FROM jobs WHERE state = 'queued' AND queue = ? LIMIT 1;
