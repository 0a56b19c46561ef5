"""Which files the SQLite store takes, and what it says of those that it refuses."""

from pathlib import Path

import apsw
import pytest

from async_job.clock import ManualClock
from async_job.errors import StoreBroken, StoreRefused, StoreUnavailable
from async_job.store.sqlite.connection import NETWORK_FILE_SYSTEMS, file_system_of
from async_job.store.sqlite.store import SqliteStore
from support.jobs import read, submit

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 0:26 / /mnt rw shared:9 - tmpfs tmpfs rw
31 30 0:45 / /mnt/share rw,relatime shared:10 - nfs4 server:/export rw,vers=4.2
32 30 0:46 / /mnt/my\\040files rw - fuse.sshfs me@server: rw,user_id=1000
33 22 0:47 / /data rw master:1 propagate_from:2 - cifs //server/data rw
34 33 8:1 / /data/local rw - xfs /dev/sda1 rw
35 22 0:48 / /srv rw - nfs server:/old rw
36 22 0:49 / /srv rw - btrfs /dev/sdb rw
a line of another kind
"""

OWN_MOUNTS = Path("/proc/self/mountinfo").read_text()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/jobs.db", "ext4"),
        ("/mnt/jobs.db", "tmpfs"),
        ("/mnt/share/jobs.db", "nfs4"),
        ("/mnt/shared/jobs.db", "tmpfs"),
        ("/mnt/my files/deep/jobs.db", "fuse.sshfs"),
        ("/data/jobs.db", "cifs"),
        ("/data/local/jobs.db", "xfs"),
        ("/srv/jobs.db", "btrfs"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system_of(path, MOUNTS) == kind


async def test_a_file_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own file system stands in for one that is reached over a network."""
    kind = file_system_of(str(tmp_path / "jobs.db"), OWN_MOUNTS)
    assert kind not in NETWORK_FILE_SYSTEMS
    monkeypatch.setattr("async_job.store.sqlite.connection.NETWORK_FILE_SYSTEMS", {kind})
    await refused(tmp_path / "jobs.db", "network file system.*local disk")
    assert names(tmp_path) == set()


async def refused(path: Path, why: str, namespace: str = "async-job") -> None:
    store = SqliteStore(path, namespace=namespace)
    with pytest.raises(StoreRefused, match=why):
        await store.open()
    await store.close()


async def test_a_missing_folder(tmp_path: Path) -> None:
    await refused(tmp_path / "no" / "jobs.db", "does not exist: create it")
    assert names(tmp_path) == set()


async def test_a_folder(tmp_path: Path) -> None:
    await refused(tmp_path, "is a folder: name a file in it")


async def test_a_place_where_no_file_can_be_made() -> None:
    """Nobody can, not even root."""
    await refused(Path("/proc/jobs.db"), "no file can be made|cannot be written")


async def test_no_database(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("These are my notes, and no database at all.\n" * 100)
    with pytest.raises(StoreBroken, match="no database: restore it, or choose another file"):
        await SqliteStore(tmp_path / "jobs.db").open()
    assert (tmp_path / "jobs.db").read_text().startswith("These are my notes")


async def test_the_database_of_another_program(tmp_path: Path) -> None:
    with apsw.Connection(str(tmp_path / "jobs.db")) as other:
        other.execute("CREATE TABLE meta (a); CREATE TABLE jobs (b)")
    other.close()
    await refused(tmp_path / "jobs.db", "another program")


async def test_a_newer_schema(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    await store.close()
    with apsw.Connection(str(tmp_path / "jobs.db")) as newer:
        newer.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    newer.close()
    await refused(tmp_path / "jobs.db", r"newer version.*schema 99.*install that version")


async def test_another_namespace(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db", namespace="ours")
    await store.open()
    await store.close()
    await refused(tmp_path / "jobs.db", "holds the namespace 'ours', and 'theirs' was asked for", namespace="theirs")


async def test_a_store_can_be_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db", clock=ManualClock())
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.counts()
    for id in "ab":
        await store.open()
        await store.open()
        await submit(store, id)
        await store.close()
        await store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.purge(1)
    await store.open()
    assert (await read(store, "a")).id == "a"
    await store.close()


async def test_the_files_that_stay(tmp_path: Path) -> None:
    """After the last process has closed, the database is one file again; only the locks and the folder remain."""
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    await submit(store, "a")
    assert (tmp_path / "jobs.db-wal").exists()
    await store.close()
    assert names(tmp_path) == {"jobs.db", "jobs.db-queue", "jobs.db-turn", "jobs.db-wake"}
    assert names(tmp_path / "jobs.db-wake") == set()


async def test_two_paths_to_one_file_share_their_locks(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    stores = [SqliteStore(tmp_path / name / "jobs.db") for name in ("real", "link")]
    for store in stores:
        await store.open()
    assert len(names(tmp_path / "real" / "jobs.db-wake")) == 2
    for store in stores:
        await store.close()
