"""Looks whether the store is as promised: what no index or constraint of the schema can hold by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from async_job.core.job import PRIORITY_STEP
from async_job.errors import StoreBroken
from async_job.store.protocol import Finding
from async_job.store.sqlite.connection import connect_reader, translated
from async_job.store.sqlite.row import COLUMNS, job_of
from async_job.store.sqlite.statements import SQL

ROWS: Final = "check.rows"
ID: Final = COLUMNS.index("id")


def check(path: Path) -> list[Finding]:
    """Reads the whole file, at one moment, on a connection of its own: the readers of jobs go on meanwhile."""
    try:
        connection = connect_reader(path)
        try:
            connection.execute("BEGIN")
            return [*_damage(connection, path), *_breaches(connection), *_unreadable(connection)]
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
        if name.startswith("check.") and name != ROWS
        for (id,) in connection.execute(statement, {"priority_step": PRIORITY_STEP})
    ]


def _unreadable(connection: apsw.Connection) -> list[Finding]:
    """Jobs with JSON in a field that is none, or another than the field holds."""
    findings = []
    for row in connection.execute(SQL[ROWS]):
        try:
            job_of(row)
        except StoreBroken as error:
            findings.append(Finding(str(row[ID]), f"cannot be read: {error.__cause__}"))
    return findings
