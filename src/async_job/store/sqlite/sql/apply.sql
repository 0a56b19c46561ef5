-- : apply — nothing comes back where the guard does not hold
UPDATE jobs SET
    {assignments}, version = version + 1,
    life = substr(life || (version + 1) || :letter, -60), logged = logged + :lines
WHERE id = :id AND state = :guard_state
    AND (:guard_token IS NULL OR token = :guard_token)
    AND NOT (:guard_uncancelled AND cancel_requested_at IS NOT NULL)
    AND NOT (:guard_deadline AND start_by IS NULL)
    AND NOT (
        :guard_lapsed
        AND EXISTS (SELECT 1 FROM workers WHERE workers.id = jobs.worker AND workers.lease_end > :now)
    )
RETURNING version, logged;

-- : trim — the change log keeps its newest entries
DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?;
