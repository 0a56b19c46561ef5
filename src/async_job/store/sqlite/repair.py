"""Mends what `check` finds: what can be told from the jobs themselves is made anew from them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw

from async_job.core.job import PRIORITY_STEP
from async_job.store.sqlite.connection import connect_writer, translated
from async_job.store.sqlite.statements import SQL
from async_job.store.sqlite.turnstile import Turnstile


def repair(path: Path, now: int) -> None:
    """All in one transaction, on a connection of its own; other writers wait for it. ``now`` in milliseconds.

    The indexes come first, for all that follows rests on them; a job that lost its entry in one is still in the table.
    """
    try:
        with closing(Turnstile(path)) as turnstile, turnstile.turn(), closing(connect_writer(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _repair(connection, now)
            connection.execute("COMMIT")
    except apsw.Error as error:
        raise translated(error, path) from error


def _repair(connection: apsw.Connection, now: int) -> None:
    """Each statement of `repair.sql` mends the finding of its name, and writes nothing where there is none."""
    values = {"now": now, "priority_step": PRIORITY_STEP}
    if any(problem != "ok" for (problem,) in connection.execute("PRAGMA integrity_check")):
        _make_indexes(connection, values)
    for name, statement in SQL.items():
        if name.startswith("repair."):
            connection.execute(statement, values)


def _make_indexes(connection: apsw.Connection, values: dict[str, int]) -> None:
    """An index that has lost entries may have let two live jobs have one unique key: it can only be made when one of
    them has given it up, and nothing can be written before the others are made."""
    unique = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'jobs_unique'").get
    connection.execute("DROP INDEX jobs_unique")
    connection.execute("REINDEX")
    connection.execute(SQL["repair.shares its unique key with another live job"], values)
    connection.execute(str(unique))
