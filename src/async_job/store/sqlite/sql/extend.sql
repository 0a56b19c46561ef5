-- : extend — nothing comes back for an id that was retired or is unknown
UPDATE workers SET lease_end = ? WHERE id = ? AND lease_end > 0 RETURNING id;
