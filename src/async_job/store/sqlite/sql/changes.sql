-- : ends — the first and the last entry kept
SELECT coalesce((SELECT min(number) FROM changes), 1), coalesce((SELECT max(number) FROM changes), 0);

-- : entries
SELECT id, version, state, reason FROM changes WHERE number > ? ORDER BY number;
