-- : put — over what is there under its id
INSERT OR REPLACE INTO deliveries ({delivery_columns}) VALUES ({delivery_places});

-- : due
SELECT {delivery_columns} FROM deliveries
WHERE state = 'pending' AND due_at <= ? ORDER BY due_at, id LIMIT ?;

-- : hold
UPDATE deliveries SET due_at = ? WHERE id = ?;

-- : settle — one that is not there is left out, and one that stands otherwise than it was taken; NULL: however it stands
UPDATE deliveries SET ({delivery_columns}) = ({delivery_places})
WHERE id = ? AND tries = coalesce(?, tries) AND due_at = coalesce(?, due_at);

-- : deliveries
SELECT {delivery_columns} FROM deliveries WHERE job_id = ? ORDER BY created_at, id;

-- : recent
SELECT {delivery_columns} FROM deliveries ORDER BY created_at DESC, id DESC LIMIT ?;
