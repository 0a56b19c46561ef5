"""The rescuer: hands back the jobs of workers that are gone with nobody left to say so, as when a machine is lost."""

from __future__ import annotations

from async_job.core.lifecycle import LeaseLapsed, Retention
from async_job.logs import get_logger
from async_job.store.protocol import BATCH, Store
from async_job.worker.contact import Contact
from async_job.worker.lookout import Lookout
from async_job.worker.renewer import Renewer
from async_job.worker.settle import settle

log = get_logger()

Run = tuple[str, str | None]
"""A job's id and the token of its run."""


async def keep_rescuing(
    store: Store, retention: Retention, contact: Contact, renewer: Renewer, lookout: Lookout
) -> None:
    """The loop; ends only by cancellation. While the contact with the store is not steady it rescues nothing, and does
    not even ask: asking makes the store forget workers that it takes for gone."""
    seen: set[Run] = set()
    while True:
        due = await lookout.next()
        with contact:
            may = contact.steady() and due.rescuable
            seen = await rescue(store, retention, contact, renewer, seen) if may else set()


async def rescue(store: Store, retention: Retention, contact: Contact, renewer: Renewer, seen: set[Run]) -> set[Run]:
    """Hands back what may be rescued now and could be in the last round too (``seen``): a supervisor that is alive and
    has just retired a dead worker knows better how its jobs ended, and is given a round to say so. Answers with what
    can be rescued now."""
    jobs = await store.rescuable(BATCH)
    again = [job for job in jobs if (job.id, job.token) in seen]
    # Our own workers are alive, whatever the store thinks: their leases are renewed first. What that tells about the
    # clocks is looked at, too. The guard of each change leaves out those whose lease lives again.
    if again and await renewer.renew() and contact.steady():
        rescued = await settle(store, again, lambda job: LeaseLapsed(job.token or ""), retention)
        if rescued:
            log.warning("took over jobs of workers that are gone", jobs=len(rescued), first=rescued[0].id)
    return {(job.id, job.token) for job in jobs}
