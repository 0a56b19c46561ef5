-- Says whose database this is, to us and to `file`: 'ajob'.
PRAGMA application_id = 1634365282;

-- What the store knows besides jobs: its schema's version and its namespace.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Times are milliseconds since 1970. Large columns come last, so that reading the others does not walk over them.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    queue TEXT NOT NULL,
    state TEXT NOT NULL, -- scheduled, queued, running; succeeded, failed, cancelled, expired
    reason TEXT NOT NULL,
    version INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    scheduled_for INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    max_crashes INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    token TEXT,
    timeout INTEGER,
    start_by INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    kept_until INTEGER,
    cancel_requested_at INTEGER,
    unique_key TEXT,
    owner TEXT,
    webhook TEXT,
    life TEXT NOT NULL DEFAULT '',
    logged INTEGER NOT NULL DEFAULT 0,
    -- The place in the queue: one step of priority is worth a minute of waiting.
    rank INTEGER NOT NULL AS (scheduled_for - priority * 60000) STORED,
    -- The worker's part of the token, `worker:n`.
    worker TEXT AS (substr(rtrim(token, '0123456789'), 1, length(rtrim(token, '0123456789')) - 1)) STORED,
    labels TEXT,
    progress TEXT,
    error TEXT,
    attempts TEXT,
    input BLOB NOT NULL,
    result BLOB
) STRICT;

-- The conditions are looked at twice for each row that is written: what is mostly false comes first, and no list of more
-- than two, for which SQLite makes a table each time.
CREATE INDEX jobs_ready ON jobs (queue, rank, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (scheduled_for, id) WHERE state = 'scheduled';
CREATE INDEX jobs_held ON jobs (worker) WHERE state = 'running';
CREATE INDEX jobs_deadline ON jobs (start_by, id)
    WHERE start_by IS NOT NULL AND attempt = 0 AND state IN ('scheduled', 'queued');
CREATE INDEX jobs_kept ON jobs (kept_until, id) WHERE kept_until IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (state, finished_at, id) WHERE finished_at IS NOT NULL;

-- Of the live jobs of a type, one may hold a key.
CREATE UNIQUE INDEX jobs_unique ON jobs (type, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL;

-- What was submitted once under a key; the job itself may be gone.
CREATE TABLE idempotency_keys (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    job_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Messages for webhooks; `due_at` is the time of the next try.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    event TEXT NOT NULL,
    target TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL, -- pending; delivered, given_up
    tries INTEGER NOT NULL,
    status INTEGER,
    problem TEXT NOT NULL,
    tried_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_of_job ON deliveries (job_id, created_at, id);
CREATE INDEX deliveries_newest ON deliveries (created_at, id);

-- Queues that are paused or were claimed from; `started` is how many jobs were claimed.
CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What an administrator writes: a few of each kind.
CREATE TABLE documents (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- A job's own log: its newest lines, numbered from 1.
CREATE TABLE log_lines (
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (id, number)
) STRICT, WITHOUT ROWID;

-- `lease_end` 0: retired for good. `last_claim`: the highest claim number that gave jobs. `enrolment` never repeats.
CREATE TABLE workers (
    enrolment INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    queues TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    version TEXT NOT NULL,
    lease_end INTEGER NOT NULL,
    last_claim INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The change log: which job came to which state, in order. Its newest entries are kept.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- How many jobs there are, so that counting a million does not read a million.
CREATE TABLE tally (
    state TEXT NOT NULL,
    queue TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

-- Whoever writes a job's state is entered in the change log and in the tally; nobody has to think of it.
CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
    INSERT INTO changes (id, version, state, reason) VALUES (new.id, new.version, new.state, new.reason);
    INSERT INTO tally VALUES (new.state, new.queue, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_changed AFTER UPDATE OF state ON jobs BEGIN
    INSERT INTO changes (id, version, state, reason) VALUES (new.id, new.version, new.state, new.reason);
    UPDATE tally SET n = n - 1 WHERE state = old.state AND queue = old.queue;
    INSERT INTO tally VALUES (new.state, new.queue, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN
    DELETE FROM log_lines WHERE id = old.id;
    DELETE FROM deliveries WHERE job_id = old.id;
    UPDATE tally SET n = n - 1 WHERE state = old.state AND queue = old.queue;
    DELETE FROM tally WHERE queue = old.queue AND n = 0;
END;
