"""Looks whether the store is as promised: what no index or constraint of the schema can hold by itself."""

from __future__ import annotations

from pathlib import Path

import apsw

from async_job.core.job import PRIORITY_STEP
from async_job.store.protocol import Finding
from async_job.store.sqlite.connection import connect_reader, translated
from async_job.store.sqlite.statements import SQL


def check(path: Path) -> list[Finding]:
    """Reads the whole file, at one moment, on a connection of its own: the readers of jobs go on meanwhile."""
    try:
        connection = connect_reader(path)
        try:
            connection.execute("BEGIN")
            return [*_damage(connection, path), *_breaches(connection)]
        finally:
            connection.close()
    except apsw.Error as error:
        raise translated(error, path) from error


def _damage(connection: apsw.Connection, path: Path) -> list[Finding]:
    """What SQLite itself finds wrong with the file and its indexes."""
    problems = [str(problem) for (problem,) in connection.execute("PRAGMA integrity_check")]
    return [Finding(str(path), problem) for problem in problems if problem != "ok"]


def _breaches(connection: apsw.Connection) -> list[Finding]:
    """Each statement of `check.sql` finds the ids of which its name is true."""
    return [
        Finding(str(id), name.removeprefix("check."))
        for name, statement in SQL.items()
        if name.startswith("check.")
        for (id,) in connection.execute(statement, {"priority_step": PRIORITY_STEP})
    ]
