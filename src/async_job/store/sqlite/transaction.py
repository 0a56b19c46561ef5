"""Writes a group in one transaction, so that many callers share one trip to the disk.

A request that is refused is refused before it writes anything. One that fails in the middle is found by doing all
again, each request behind a savepoint. Where there is no room, submits are turned away, and outcomes, claims and
leases go through as long as they can.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import apsw

from async_job.errors import AsyncJobError, StoreBroken, StoreFull
from async_job.store.group_commit import Request
from async_job.store.sqlite.connection import BUSY_TIMEOUT, is_full, translated
from async_job.store.sqlite.lane import Methods
from async_job.store.sqlite.turnstile import Turnstile

METHOD: Final = attrgetter("method")
RESERVE: Final = 16 * 1024 * 1024
"""Bytes that submits leave free, for the outcomes of what was already accepted."""
CHECKPOINT_PAGES: Final = 2_000
"""A checkpoint is tried each time the write-ahead log has grown by so many pages (8 MiB). What is to be written then
waits for it, 1 to 2 ms: that is the disk's time, so half as many pages would take more than half of it, twice as often.
"""
FORCED_CHECKPOINT_PAGES: Final = 10_000
"""From here on (40 MiB) readers are waited for, so that the log can begin anew."""
CHECKPOINT_TIMEOUT: Final = 20
"""Milliseconds that they are waited for."""


class Transactions:
    def __init__(self, connection: apsw.Connection, path: Path, turnstile: Turnstile, methods: Methods) -> None:
        self._connection = connection
        self._path = path
        self._turnstile = turnstile
        self._methods = methods
        self._wal_pages = 0
        self._next_checkpoint = CHECKPOINT_PAGES
        self._cannot_grow: AsyncJobError | None = None
        self._refusal: AsyncJobError | None = None
        self._file = os.stat(path).st_ino
        connection.set_wal_hook(self._committed)

    def _committed(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def execute(self, group: Sequence[Request]) -> list[Any]:
        """One answer a request, in order: its value, or the error that it alone gets."""
        try:
            with self._turnstile.turn():
                self._look_at_file()
                return self._write(group)
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def _look_at_file(self) -> None:
        """Before each group: whether the file is still ours, and whether submits are to be turned away."""
        try:
            gone = os.stat(self._path).st_ino != self._file
        except FileNotFoundError:
            gone = True
        if gone:
            raise StoreBroken(f"{self._path} was removed or replaced while it was in use: put it back and start anew")
        self._refusal = self._cannot_grow
        if room(self._path) < RESERVE:
            self._refusal = StoreFull(f"hardly any room is left for {self._path}: free some space on its disk")

    def _write(self, group: Sequence[Request]) -> list[Any]:
        try:
            return self._transaction(group, self._answers)
        except apsw.BusyError:
            raise
        except Exception as error:  # noqa: BLE001 - it is found again, and handed to the caller whose it is
            if isinstance(error, apsw.Error) and is_full(error):
                self._refusal = translated(error, self._path)
                self._free_log()
            return self._transaction(group, self._answers_apart)

    def _free_log(self) -> None:
        """Makes room in the log for what is written without the submits; that fails by itself if there is none."""
        with suppress(apsw.Error):
            self._checkpoint(apsw.SQLITE_CHECKPOINT_RESTART)

    def _transaction(self, group: Sequence[Request], answer: Callable[[Sequence[Request]], list[Any]]) -> list[Any]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            answers = answer(group)
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return answers

    def _answers(self, group: Sequence[Request]) -> list[Any]:
        """In order. Submits that stand side by side are done as one."""
        answers: list[Any] = []
        for method, alike in groupby(group, METHOD):
            if method == "submit" and self._refusal is None:
                submits = [request.argument for request in alike]
                each = iter(self._methods[method](list(chain.from_iterable(submits))))
                answers += [list(islice(each, len(submit))) for submit in submits]
            else:
                answers += map(self._answer, alike)
        return answers

    def _answers_apart(self, group: Sequence[Request]) -> list[Any]:
        return [self._answer_apart(request) for request in group]

    def _answer(self, request: Request) -> Any:
        if self._refusal is not None and request.method == "submit":
            return self._refusal
        try:
            return self._methods[request.method](request.argument)
        except StoreBroken:
            # A record that cannot be read is met in the middle, and what was written before it is taken back.
            raise
        except AsyncJobError as refusal:
            return refusal

    def _answer_apart(self, request: Request) -> Any:
        self._connection.execute("SAVEPOINT request")
        try:
            answer = self._answer(request)
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO request")
            answer = translated(error, self._path)
        self._connection.execute("RELEASE request")
        return answer

    @property
    def checkpoint_due(self) -> bool:
        return self._wal_pages >= self._next_checkpoint

    def checkpoint(self) -> None:
        """Moves what was written from the log into the database. Readers and other writers go on meanwhile, unless
        the log has grown so much that it must be begun anew."""
        try:
            if self._wal_pages < FORCED_CHECKPOINT_PAGES:
                pages, moved = self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:
                with self._turnstile.turn():
                    pages, moved = self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            # Somebody is in the way: later. Any other failure will meet the next write, which has callers to tell.
            self._next_checkpoint = self._wal_pages + CHECKPOINT_PAGES
            self._cannot_grow = translated(error, self._path) if is_full(error) else None
        else:
            self._next_checkpoint = CHECKPOINT_PAGES + (pages if moved < pages else 0)
            self._cannot_grow = None

    def _checkpoint(self, mode: int) -> tuple[int, int]:
        """The pages in the log and those moved. A reader who stays long is not waited for while others queue."""
        self._connection.set_busy_timeout(CHECKPOINT_TIMEOUT)
        try:
            return self._connection.wal_checkpoint(mode=mode)
        finally:
            self._connection.set_busy_timeout(BUSY_TIMEOUT)


def room(path: Path) -> int:
    """By how many bytes the database and its log can grow: what the disk has free, or a limit on files allows."""
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return free
    return min(free, limit - max(os.path.getsize(file) for file in (path, f"{path}-wal") if os.path.exists(file)))
