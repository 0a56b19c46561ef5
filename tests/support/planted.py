"""Bugs to plant, one at a time, to see that the fault tests find them: `PLANTED=unfenced make chaos ROWS=3`.

Each is one that a store or a worker could really have. The switch is an environment variable, so that it reaches the
processes that the tests start.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from async_job.clock import SystemClock
from async_job.core.job import Change, Job, State
from async_job.store.protocol import Claimed, ClaimId, Due, Index
from async_job.store.redis import scripts
from async_job.store.redis.store import RedisStore
from async_job.store.sqlite.store import SqliteStore
from async_job.store.sqlite.writer import Writer

VARIABLE = "PLANTED"
MOST_PAGES = 1 << 30

Stores = Any


def plant(name: str | None = None) -> None:
    """Breaks this process as the environment says; does nothing where it says nothing."""
    name = os.environ.get(VARIABLE) if name is None else name
    if not name:
        return
    for store in (SqliteStore, RedisStore):
        BUGS[name](store)


def unfenced(store: Stores) -> None:
    """An outcome is written whoever holds the job by now."""
    apply = store.apply

    async def without_token(self: Any, changes: Sequence[Change]) -> Any:
        return await apply(self, [replace(one, guard=replace(one.guard, token=None)) for one in changes])

    store.apply = without_token


def two_step_claim(store: Stores) -> None:
    """First it looks what is queued, then it takes it; what somebody else took in between it believes to have, too."""
    claim = store.claim

    async def look_then_take(self: Any, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        pages = [await self.scan(Index(State.QUEUED, queue), None, limit) for queue in queues]
        await asyncio.sleep(0.05)
        claimed: Claimed = await claim(self, claim_id, queues, limit)
        got = {job.id for job in claimed.jobs}
        believed = [
            replace(job, state=State.RUNNING, token=claim_id.token, attempt=job.attempt + 1)
            for page in pages
            for _, job in page
            if job is not None and job.id not in got
        ]
        return Claimed((claimed.jobs + believed)[:limit], claimed.next_due)

    store.claim = look_then_take


def pop_without_lease(store: Stores) -> None:
    """What is claimed is out of the queue and held by nobody: it cannot be found again."""

    async def nothing(self: Any, *_: object) -> list[Job]:
        return []

    store.retire = nothing
    store.rescuable = nothing


def suspicious(store: Stores) -> None:
    """Not a bug, as long as the guard of a rescue holds: it takes everything that runs for lapsed."""

    async def all_that_run(self: Any, limit: int) -> list[Job]:
        return [job for _, job in await self.scan(Index(State.RUNNING), None, limit) if job is not None]

    store.rescuable = all_that_run
    _always_look(store)


def unguarded_rescue(store: Stores) -> None:
    """A rescue does not ask whether the lease is still over when it is written."""
    suspicious(store)
    _without_lapse(store)


def own_clock(store: Stores) -> None:
    """A rescuer compares the ends of leases with the clock of its own machine instead of the store's."""

    async def lapsed_here(self: Any, limit: int) -> list[Job]:
        now = SystemClock().now()
        alive = {known.worker.id for known in await self.administration.workers() if known.lease_end > now}
        running = await self.scan(Index(State.RUNNING), None, limit)
        return [job for _, job in running if job is not None and job.worker not in alive]

    store.rescuable = lapsed_here
    _always_look(store)
    _without_lapse(store)


def _always_look(store: Stores) -> None:
    due = store.due

    async def rescuable(self: Any) -> Due:
        found: Due = await due(self)
        return replace(found, rescuable=True)

    store.due = rescuable


def _without_lapse(store: Stores) -> None:
    apply = store.apply

    async def without_lapse(self: Any, changes: Sequence[Change]) -> Any:
        return await apply(self, [replace(one, guard=replace(one.guard, lapsed=False)) for one in changes])

    store.apply = without_lapse


def no_reload(store: Stores) -> None:
    """Scripts that Redis has lost are not loaded again."""
    # The store's own name for them, which it loads them by when it opens, stays.
    scripts.LOAD = []  # type: ignore[misc]


def few_pages(store: Stores) -> None:
    """No bug: SQLite files have at most as many pages as the file `pages` beside the ledger says, while it is there."""
    if store is not SqliteStore:
        return
    execute = Writer.execute

    def within_limit(self: Any, group: Any) -> list[Any]:
        limit = Path(os.environ["LEDGER"]).with_name("pages")
        self._connection.pragma("max_page_count", int(limit.read_text()) if limit.exists() else MOST_PAGES)
        return execute(self, group)

    Writer.execute = within_limit  # type: ignore[method-assign]


BUGS = {
    "unfenced": unfenced,
    "two_step_claim": two_step_claim,
    "pop_without_lease": pop_without_lease,
    "suspicious": suspicious,
    "unguarded_rescue": unguarded_rescue,
    "own_clock": own_clock,
    "no_reload": no_reload,
    "few_pages": few_pages,
}
