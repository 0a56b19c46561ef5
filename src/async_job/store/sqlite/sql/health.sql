-- : write
INSERT INTO meta (key, value) VALUES ('checked_at', :now) ON CONFLICT DO UPDATE SET value = excluded.value;

-- : read
SELECT value FROM meta WHERE key = 'checked_at';
