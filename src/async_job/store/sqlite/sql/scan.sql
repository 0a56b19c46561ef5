-- : scheduled
SELECT scheduled_for, {columns} FROM jobs
WHERE state = 'scheduled' AND (scheduled_for, id) {beyond} (:score, :id)
ORDER BY scheduled_for {direction}, id {direction} LIMIT :limit;

-- : queued
SELECT rank, {columns} FROM jobs
WHERE state = 'queued' AND queue = :queue AND (rank, id) {beyond} (:score, :id)
ORDER BY rank {direction}, id {direction} LIMIT :limit;

-- : running — there are few, which are sorted before their rows are read
SELECT started_at, {columns} FROM jobs WHERE seq IN (
    SELECT seq FROM jobs
    WHERE state = 'running' AND (started_at, id) {beyond} (:score, :id)
    ORDER BY started_at {direction}, id {direction} LIMIT :limit
)
ORDER BY started_at {direction}, id {direction};

-- : ended
SELECT finished_at, {columns} FROM jobs
WHERE state = :state AND finished_at IS NOT NULL AND (finished_at, id) {beyond} (:score, :id)
ORDER BY finished_at {direction}, id {direction} LIMIT :limit;
