"""Damages a store by hand, each kind of store in its own way, as a bug or somebody with a shell would."""

from collections.abc import Awaitable, Callable
from typing import Any

import apsw
from msgspec.structs import replace

from async_job.core.delivery import delivery_of
from async_job.core.job import State

Damage = Callable[[Any], Awaitable[None]]


def _sql(store: Any, statement: str) -> None:
    connection = apsw.Connection(str(store._path))
    connection.execute(statement)
    connection.close()


async def lose_a_place(store: Any) -> None:
    """The job `queued` is no longer where queued jobs are looked for, or counted."""
    match type(store).__name__:
        case "MemoryStore":
            store._table.queues["default"].remove(store._table.jobs["queued"].rank, "queued")
        case "SqliteStore":
            _sql(store, "UPDATE tally SET n = 0 WHERE state = 'queued'")
        case _:
            await store._link.ask(("ZREM", store._keys.queue("default"), "queued"))


async def forget_workers(store: Any) -> None:
    match type(store).__name__:
        case "MemoryStore":
            store._table.workers.clear()
        case "SqliteStore":
            _sql(store, "DELETE FROM workers")
        case _:
            await store._link.ask(("DEL", store._keys.leases))


async def share_a_key(store: Any) -> None:
    """`queued` gets the unique key of `keyed`."""
    match type(store).__name__:
        case "MemoryStore":
            store._table.jobs["queued"] = replace(store._table.jobs["queued"], unique_key="k")
        case "SqliteStore":
            _sql(store, "UPDATE jobs SET finished_at = 1, unique_key = 'k' WHERE id = 'queued'")
        case _:
            await store._link.ask(("HSET", store._keys.job("queued"), "unique_key", "k"))


async def leave_a_delivery(store: Any) -> None:
    """One of a job that is not there."""
    match type(store).__name__:
        case "MemoryStore":
            store._table.put_delivery(delivery_of("gone", 1, "hook", State.SUCCEEDED, 1))
        case "SqliteStore":
            _sql(store, "INSERT INTO deliveries VALUES ('d', 'gone', 'e', 't', 1, 1, 'pending', 0, NULL, '', NULL)")
        case _:
            await store._link.ask(("ZADD", store._keys.deliveries_due, "1", "gone"))


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage for damage in (lose_a_place, forget_workers, share_a_key, leave_a_delivery)
}
