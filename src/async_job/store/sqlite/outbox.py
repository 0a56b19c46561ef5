"""Webhook deliveries in the file; see ``store.outbox``.

A class for each thread: what the event loop sees, what the writer does for it, and what the reader does.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw
from msgspec.structs import astuple, replace

from async_job.clock import Clock
from async_job.core.delivery import Delivery
from async_job.store.readable import Readable
from async_job.store.sqlite.lane import Call, Methods
from async_job.store.sqlite.row import delivery_of
from async_job.store.sqlite.statements import SQL


class SqliteOutbox:
    def __init__(self, write: Call, read: Call) -> None:
        self._write = write
        self._read = read

    async def take(self, limit: int, hold: int) -> list[Delivery]:
        taken: list[Delivery] = await self._write("take", (limit, hold), limit)
        return taken

    async def settle(self, deliveries: Sequence[Delivery], taken: Sequence[Delivery] | None = None) -> None:
        await self._write("settle", (deliveries, taken), len(deliveries))

    async def deliveries(self, job_id: str) -> list[Delivery]:
        found: list[Delivery] = await self._read("deliveries", job_id)
        return found

    async def recent(self, limit: int) -> list[Delivery]:
        found: list[Delivery] = await self._read("recent", limit, limit)
        return found


class OutboxWriter:
    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self.methods: Methods = {"take": self.take, "settle": self.settle}

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Called for a change that was written, in the same transaction."""
        self._connection.executemany(SQL["outbox.put"], map(astuple, deliveries))

    def take(self, argument: tuple[int, int]) -> list[Delivery]:
        limit, hold = argument
        now = self._clock.now()
        due = [delivery_of(row) for row in self._connection.execute(SQL["outbox.due"], (now, limit))]
        held = [replace(delivery, due_at=now + hold) for delivery in due]
        self._connection.executemany(SQL["outbox.hold"], [(delivery.due_at, delivery.id) for delivery in held])
        return held

    def settle(self, argument: tuple[Sequence[Delivery], Sequence[Delivery] | None]) -> None:
        deliveries, taken = argument
        stands = [(None, None)] * len(deliveries) if taken is None else [(one.tries, one.due_at) for one in taken]
        rows = [(*astuple(one), one.id, *stand) for one, stand in zip(deliveries, stands, strict=True)]
        self._connection.executemany(SQL["outbox.settle"], rows)


class OutboxReader:
    def __init__(self, connection: apsw.Connection, readable: Readable) -> None:
        self._execute = connection.execute
        self._readable = readable
        self.methods: Methods = {"deliveries": self.deliveries, "recent": self.recent}

    def deliveries(self, job_id: str) -> list[Delivery]:
        return self._readable.all(delivery_of, self._execute(SQL["outbox.deliveries"], (job_id,)))

    def recent(self, limit: int) -> list[Delivery]:
        return self._readable.all(delivery_of, self._execute(SQL["outbox.recent"], (limit,)))
