-- : get
SELECT {columns} FROM jobs WHERE id = ?;
