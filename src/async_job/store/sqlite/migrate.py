"""Makes the schema, or brings it to this version, and makes sure that the file is ours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from async_job.errors import StoreRefused
from async_job.store.sqlite.statements import migrations

APPLICATION: Final = int.from_bytes(b"ajob")
"""What ``PRAGMA application_id`` says in a file of ours."""


def migrate(connection: apsw.Connection, path: Path, namespace: str) -> None:
    """Brings the file to this version's schema, all or nothing. Called when it is this process's turn.

    Raises:
        StoreRefused: the file is another program's, of another namespace, or of a newer version.
    """
    steps = migrations()
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path, namespace)
        if version > len(steps):
            raise StoreRefused(
                f"{path} was written by a newer version of async-job (schema {version}, this one knows {len(steps)}): "
                "install that version, or choose another file"
            )
        for step in steps[version:]:
            connection.execute(step)
        if version < len(steps):
            values = {"schema": str(len(steps)), "namespace": namespace}
            connection.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", values.items())
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: apsw.Connection, path: Path, namespace: str) -> int:
    """The version of the schema in the file; 0: the file is empty."""
    if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall():
        return 0
    if connection.pragma("application_id") != APPLICATION:
        raise StoreRefused(f"{path} is a database of another program: choose another file for the store")
    meta = {str(key): str(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    if meta["namespace"] != namespace:
        raise StoreRefused(
            f"{path} holds the namespace {meta['namespace']!r}, and {namespace!r} was asked for: "
            "use that namespace, or another file"
        )
    return int(meta["schema"])
