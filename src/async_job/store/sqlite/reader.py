"""Reads, in the reader's thread. A group sees the store at one moment, which is after every write that was answered
before the group was asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec.structs import replace

from async_job.clock import Clock
from async_job.core.job import Job, LogLine, State
from async_job.errors import Unreadable
from async_job.store import codec
from async_job.store.group_commit import Request
from async_job.store.protocol import BATCH, Changes, Counts, Due, Entry, Index, Place
from async_job.store.readable import Readable
from async_job.store.sqlite import statements
from async_job.store.sqlite.administration import AdministrationReader
from async_job.store.sqlite.connection import connect_reader, translated
from async_job.store.sqlite.lane import Methods
from async_job.store.sqlite.outbox import OutboxReader
from async_job.store.sqlite.row import STATES, job_of
from async_job.store.sqlite.statements import SQL

CHANGES_KEPT: Final = 10_000
FORGET_LAPSED: Final = 3_600_000
MOST_AHEAD: Final = 1_000
LOOKS: Final = 5
"""So often are jobs looked for that can be read, each time among twice as many."""
FIRST: Final = Place(-(2**63), "")
"""Before and after everything: places are compared as 64-bit numbers, then by id."""
LAST: Final = Place(2**63 - 1, "")

Row = tuple[Any, ...]


class Reader:
    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection = connect_reader(path)
        self._readable = Readable()
        self._methods: Methods = {
            **AdministrationReader(self._connection).methods,
            **OutboxReader(self._connection, self._readable).methods,
            "get": self.get,
            "scan": self.scan,
            "ahead": self.ahead,
            "log": self.log,
            "counts": self.counts,
            "due": self.due,
            "rescuable": self.rescuable,
            "overdue": self.overdue,
            "changes": self.changes,
            "wait": self.wait,
            "health": self.health,
        }

    def execute(self, group: Sequence[Request]) -> list[Any]:
        try:
            self._connection.execute("BEGIN")
            try:
                return [self._answer(request) for request in group]
            finally:
                self._connection.execute("COMMIT")
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def _answer(self, request: Request) -> Any:
        try:
            return self._methods[request.method](request.argument)
        except Exception as error:  # noqa: BLE001 - the caller's own, and nobody else's
            return translated(error, self._path)

    def close(self) -> None:
        self._connection.close()

    def get(self, ids: Sequence[str]) -> list[Job | None]:
        return [self._get(id) for id in ids]

    def _get(self, id: str) -> Job | None:
        if not storable(id):
            return None
        rows = self._connection.execute(SQL["get.get"], (id,)).fetchall()
        return job_of(rows[0]) if rows else None

    def scan(self, argument: tuple[Index, Place | None, int, bool]) -> list[tuple[Place, Job | None]]:
        index, after, limit, newest = argument
        place = after or (LAST if newest else FIRST)
        values = {"state": index.state, "queue": index.queue, "score": place.score, "id": place.id}
        values["limit"] = min(limit, BATCH)
        rows = self._connection.execute(statements.scan(index.state, newest), values)
        return [(Place(score, row[0]), self._readable.one(job_of, tuple(row))) for score, *row in rows]

    def ahead(self, id: str) -> int | None:
        place = self._connection.execute(SQL["ahead.place"], (id,)).get if storable(id) else None
        if place is None:
            return None
        queue, rank = place
        values = {"queue": queue, "rank": rank, "id": id, "limit": MOST_AHEAD}
        n: int = self._connection.execute(SQL["ahead.ahead"], values).get
        return n

    def log(self, argument: tuple[str, int]) -> list[LogLine]:
        id, after = argument
        if not storable(id):
            return []
        return [LogLine(at, message) for at, message in self._connection.execute(SQL["log.log"], (id, after))]

    def counts(self, _: None) -> Counts:
        states = dict.fromkeys(State, 0)
        queued = {}
        for name, queue, n in self._connection.execute(SQL["counts.counts"]):
            state = STATES[name]
            states[state] += n
            if state is State.QUEUED:
                queued[queue] = n
        return Counts(states, queued)

    def due(self, _: None) -> Due:
        return Due(
            rescuable=bool(self._rows("rescuable.rescuable", 1)) or self._forgettable(),
            overdue=bool(self._rows("overdue.overdue", 1)),
            deliveries=self._connection.execute(SQL["outbox.due"], (self._clock.now(), 1)).get is not None,
        )

    def rescuable(self, limit: int) -> tuple[list[Job], bool]:
        """The jobs, and whether there are workers to forget."""
        return self._first("rescuable.rescuable", limit), self._forgettable()

    def _forgettable(self) -> bool:
        long_ago = self._clock.now() - FORGET_LAPSED
        return self._connection.execute(SQL["rescuable.forgettable"], {"long_ago": long_ago}).get is not None

    def overdue(self, limit: int) -> list[Job]:
        return self._first("overdue.overdue", limit)

    def _first(self, statement: str, limit: int) -> list[Job]:
        """The first jobs that can be read: those that cannot stay where they are, and must not hide the others."""
        jobs: list[Job] = []
        for most in (limit << n for n in range(LOOKS)):
            rows = self._rows(statement, most)
            jobs = self._readable.all(job_of, rows)
            if len(jobs) >= limit or len(rows) < most:
                break
        return jobs[:limit]

    def _rows(self, statement: str, limit: int) -> list[Row]:
        values = {"now": self._clock.now(), "limit": limit}
        rows: list[Row] = self._connection.execute(SQL[statement], values).fetchall()
        return rows

    def changes(self, argument: tuple[str | None, Sequence[str]]) -> Changes:
        after, along = argument
        changes = self._changes(after)
        jobs: dict[str, Job | None] = {}
        for id in along:
            # Who is not given a job asks for it by itself, and hears then what is wrong with it.
            with suppress(Unreadable):
                jobs[id] = self._get(id)
        return replace(changes, jobs=jobs) if jobs else changes

    def _changes(self, after: str | None) -> Changes:
        first: int
        last: int
        ((first, last),) = self._connection.execute(SQL["changes.ends"])
        if after is None:
            return Changes([], str(last))
        start = codec.change_number(after)
        if start < 0 or start > last or start < first - 1 or last - start > CHANGES_KEPT:
            return Changes([], str(last), reset=True)
        rows = self._connection.execute(SQL["changes.entries"], (start,))
        return Changes([Entry(id, version, STATES[state], reason) for id, version, state, reason in rows], str(last))

    def wait(self, queues: Sequence[str]) -> tuple[bool, int | None]:
        """Whether a job is ready in one of the queues, and when the next one is due in any."""
        ready = any(self._connection.execute(SQL["wait.ready"], {"queue": queue}).get for queue in queues)
        return ready, self._connection.execute(SQL["claim.next_due"]).get

    def health(self, _: None) -> str:
        return str(self._connection.execute(SQL["health.read"]).get)


def storable(id: str) -> bool:
    """Whether the text is Unicode at all; half a surrogate pair is no id of anything."""
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return True
