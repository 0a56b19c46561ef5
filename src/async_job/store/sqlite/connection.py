"""Opens connections to the database file, and says in our own words what SQLite complains of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import apsw

from async_job.errors import AsyncJobError, StoreBroken, StoreFull, StoreRefused, StoreUnavailable, UsageError

BUSY_TIMEOUT: Final = 5_000
"""Our own processes take turns and do not meet; this is for a shell or a backup that holds the file."""
WAL_LIMIT: Final = 64 * 1024 * 1024

NETWORK_FILE_SYSTEMS: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.davfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb",
    "smb2", "smb3", "smbfs",
})  # fmt: skip


def refuse_unfit(path: Path) -> None:
    """Refuses a place where SQLite cannot keep jobs, before anything is created there.

    Raises:
        StoreRefused: it is no file, its folder is missing or not writable, or it is on a network file system.
    """
    folder = path.parent
    if not folder.is_dir():
        raise StoreRefused(f"the folder {folder} for the store does not exist: create it, or choose another file")
    if path.is_dir():
        raise StoreRefused(f"{path} is a folder: name a file in it for the store")
    unwritable = next((place for place in (path, folder) if place.exists() and not os.access(place, os.W_OK)), None)
    if unwritable is not None:
        raise StoreRefused(
            f"{unwritable} cannot be written by this user: change its permissions, or choose another file"
        )
    mounts = Path("/proc/self/mountinfo")
    kind = file_system_of(str(path), mounts.read_text()) if mounts.exists() else ""
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreRefused(
            f"{path} is on a network file system ({kind}), where SQLite's locks do not hold and jobs would be lost: "
            "put the file on a local disk, or use a Redis store"
        )


def file_system_of(path: str, mountinfo: str) -> str:
    """The type of the file system that holds ``path`` (absolute, without links), from the text of
    ``/proc/self/mountinfo``. Of several mounts on one place the last is the one that is seen."""
    longest, kind = -1, ""
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        if not dash:
            continue
        # A space in the name is written \040, and likewise tab, newline and backslash.
        place = before.split(" ")[4].encode("latin-1", "replace").decode("unicode_escape").rstrip("/")
        if (path == place or path.startswith(f"{place}/")) and len(place) >= longest:
            longest, kind = len(place), after.split(" ", 1)[0]
    return kind


def connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    connection.set_busy_timeout(BUSY_TIMEOUT)
    # Without it, statements are prepared again whenever a value bound to an indexed column changes.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -16_000)
    return connection


def connect_writer(path: Path) -> apsw.Connection:
    """The connection that writes. Every commit reaches the disk before it is answered (`FULL`)."""
    connection = connect(path)
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        connection.close()
        raise StoreRefused(f"{path} is on a file system without shared memory, which WAL needs: choose a local disk")
    connection.pragma("synchronous", "full")
    # On macOS a plain fsync leaves the write in the drive's cache. Elsewhere this says nothing new.
    connection.pragma("fullfsync", True)
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("journal_size_limit", WAL_LIMIT)
    return connection


def connect_reader(path: Path) -> apsw.Connection:
    connection = connect(path)
    connection.pragma("query_only", True)
    return connection


def is_full(error: apsw.Error) -> bool:
    """A disk, a quota or a file at its limit. Only the first has a code of its own; the others fail the write."""
    return isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_WRITE


def translated(error: Exception, path: Path) -> AsyncJobError:
    """What SQLite complains of, or cannot take, as one of our errors."""
    if isinstance(error, apsw.Error) and is_full(error):
        return StoreFull(f"no room for the store {path} ({error}): free some space on its disk")
    match error:
        case AsyncJobError():
            return error
        case apsw.BusyError() | apsw.LockedError():
            return StoreUnavailable(f"{path} is locked by another program: end it, or try again ({error})")
        case apsw.CorruptError() | apsw.NotADBError():
            return StoreBroken(f"{path} is damaged or no database: restore it, or choose another file ({error})")
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() | apsw.AuthError():
            return StoreUnavailable(f"{path} cannot be written: look at its permissions and its folder ({error})")
        case apsw.IOError():
            return StoreUnavailable(f"the disk failed under {path}: look at the system's log ({error})")
        case UnicodeEncodeError():
            return UsageError(f"only Unicode text can be stored, without half surrogate pairs ({error})")
        case OverflowError():
            return UsageError(f"only numbers of at most 64 bits can be stored ({error})")
        case _:
            broken = StoreBroken(f"SQLite does not do what it should with {path}: {error!r}")
            broken.__cause__ = error
            return broken
