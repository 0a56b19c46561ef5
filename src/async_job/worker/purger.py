"""The purger: removes finished jobs that were kept long enough."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from async_job.logs import get_logger
from async_job.store.protocol import BATCH, Store
from async_job.worker.contact import Contact

EVERY: Final = 5.0
REST: Final = 3
"""It rests that many times as long as a batch took, so that others get most of the store's time."""
SHORTEST_REST: Final = 0.02

log = get_logger()


async def keep_purging(store: Store, contact: Contact, every: float = EVERY) -> None:
    """The loop; ends only by cancellation."""
    while True:
        with contact:
            purged = await purge(store)
            if purged:
                log.debug("jobs purged", jobs=purged)
        await asyncio.sleep(every)


async def purge(store: Store) -> int:
    """Removes all that is due now, in batches with rests between them, and tells how many jobs that were."""
    count = 0
    while True:
        began = time.monotonic()
        purged = await store.purge(BATCH)
        count += purged
        if purged < BATCH:
            return count
        await asyncio.sleep(max(SHORTEST_REST, REST * (time.monotonic() - began)))
