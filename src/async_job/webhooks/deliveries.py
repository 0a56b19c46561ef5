"""What administrators do with deliveries: look at them, and have one sent again."""

from __future__ import annotations

from typing import Final

from async_job.core.delivery import Delivery, job_of, replayed
from async_job.errors import DeliveryNotFound
from async_job.store.protocol import Store

RECENT: Final = 100


async def find(store: Store, job_id: str | None = None) -> list[Delivery]:
    """Those of a job, or the newest of all: newest first."""
    if job_id is None:
        return await store.outbox.recent(RECENT)
    return (await store.outbox.deliveries(job_id))[::-1]


async def replay(store: Store, id: str) -> Delivery:
    """Has it delivered as if it were new, under the same id. Raises ``DeliveryNotFound``."""
    known = await store.outbox.deliveries(job_of(id))
    delivery = next((delivery for delivery in known if delivery.id == id), None)
    if delivery is None:
        raise DeliveryNotFound(id)
    again = replayed(delivery, store.now())
    await store.outbox.settle([again])
    return again
