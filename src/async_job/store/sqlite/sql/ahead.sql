-- : place
SELECT queue, rank FROM jobs WHERE id = ? AND state = 'queued';

-- : ahead
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE state = 'queued' AND queue = :queue AND (rank, id) < (:rank, :id) LIMIT :limit
);
