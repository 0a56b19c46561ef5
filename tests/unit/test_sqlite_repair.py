"""SQLite's own indexes can be damaged too, by a bug of its or a bad disk: they are made again from the rows."""

from pathlib import Path

import apsw
import pytest

from async_job.clock import ManualClock
from async_job.errors import StoreBroken
from async_job.store.sqlite.store import SqliteStore
from support.jobs import LEASE, claim, make_worker, read, submit


def empty(path: Path, index: str, columns: str) -> None:
    """Has the index look for its entries in the place of another that has none."""
    shell = apsw.Connection(str(path))
    shell.execute(f"CREATE INDEX other ON jobs ({columns}) WHERE state = 'nothing'")
    roots = dict(shell.execute("SELECT name, rootpage FROM sqlite_schema WHERE name IN (?, 'other')", (index,)))
    shell.execute("PRAGMA writable_schema = ON")
    for name, other in ((index, "other"), ("other", index)):
        shell.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (roots[other], name))
    shell.execute(f"PRAGMA schema_version = {shell.pragma('schema_version') + 1}")
    shell.close()
    shell = apsw.Connection(str(path))
    shell.execute("DROP INDEX other")
    shell.close()


async def test_jobs_that_no_index_has_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    await submit(store, "a", "b")
    await submit(store, "c", unique_key="k")
    await store.enroll(make_worker(), LEASE)
    await store.close()
    empty(path, "jobs_ready", "queue, rank, id")
    empty(path, "jobs_unique", "type, unique_key")
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    assert await claim(store) == []
    # While the index has no entries, a second job gets the key.
    await submit(store, "d", unique_key="k")
    assert await store.check()
    await store.repair()
    assert await store.check() == []
    assert sorted(job.id for job in await claim(store, 2, limit=9)) == ["a", "b", "c", "d"]
    assert [(await read(store, id)).unique_key for id in "cd"] == ["k", None]
    await store.close()


async def test_pages_that_are_damaged_are_left_to_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    await submit(store, "a")
    await store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    store = SqliteStore(path, clock=ManualClock())
    with pytest.raises(StoreBroken, match="restore it"):
        await store.open()
