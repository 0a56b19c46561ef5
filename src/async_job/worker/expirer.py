"""The expirer: ends jobs that were not started by their deadline."""

from __future__ import annotations

from async_job.core.lifecycle import Overdue, Retention
from async_job.logs import get_logger
from async_job.store.protocol import BATCH, Store
from async_job.worker.contact import Contact
from async_job.worker.lookout import Lookout
from async_job.worker.settle import settle

log = get_logger()


async def keep_expiring(store: Store, retention: Retention, contact: Contact, lookout: Lookout) -> None:
    """The loop; ends only by cancellation."""
    while True:
        due = await lookout.next()
        with contact:
            expired = await expire(store, retention) if due.overdue else 0
            if expired:
                log.info("jobs expired", jobs=expired)


async def expire(store: Store, retention: Retention) -> int:
    """Ends what is overdue now, and tells how many jobs that were."""
    count = 0
    while jobs := await store.overdue(BATCH):
        expired = await settle(store, jobs, lambda job: Overdue(), retention)
        count += len(expired)
        # A batch in which nothing could be ended (our view of the store's time may be behind) has to wait.
        if len(jobs) < BATCH or not expired:
            break
    return count
