"""The reconciler: finds jobs that the store takes for ours and that we know to have ended.

A store that declares that a crash may lose writes (Redis without `appendfsync always`, or a replica that took over) may
have lost the end of a job that it had acknowledged. Its worker is alive, so no lapsing lease would ever free the job.
"""

from __future__ import annotations

import asyncio
from typing import Final

from async_job.core.job import Job, State
from async_job.core.lifecycle import Released, Retention
from async_job.errors import StoreError
from async_job.logs import get_logger
from async_job.store.protocol import BATCH, Index, Place, Store
from async_job.worker.claimer import Claimer
from async_job.worker.settle import settle

REASON: Final = "outcome_lost"

log = get_logger()


async def keep_reconciling(store: Store, claimer: Claimer, retention: Retention, every: float) -> None:
    """The loop; ends only by cancellation. A look costs one small read, unless something is wrong."""
    while True:
        await asyncio.sleep(every)
        try:
            await reconcile(store, claimer, retention)
        except StoreError as error:
            log.debug("the store does not answer, comparing later", error=str(error))


async def reconcile(store: Store, claimer: Claimer, retention: Retention) -> list[Job]:
    """Gives back what the store takes for this worker's, though it has no such run. What is claimed after the look
    began does not count: its claim bears a higher number."""
    worker, claims, known = claimer.worker, claimer.claims.answered, {active.job.id for active in claimer.active}
    infos = await store.administration.workers()
    if sum(info.running for info in infos if info.worker.id == worker) <= len(known):
        return []
    ours = [job for job in await _running(store) if job.worker == worker and job.id not in known]
    forgotten = [job for job in ours if _number(job) <= claims]
    released = await settle(store, forgotten, lambda job: Released(job.token or "", REASON), retention)
    if released:
        log.warning("the store had lost how these jobs ended, they run again", jobs=len(released), first=released[0].id)
    return released


def _number(job: Job) -> int:
    """Which of its worker's claims the job was given to; 0 if its token does not say."""
    number = (job.token or "").rpartition(":")[2]
    return int(number) if number.isdecimal() else 0


async def _running(store: Store) -> list[Job]:
    found: list[Job] = []
    place: Place | None = None
    while page := await store.scan(Index(State.RUNNING), place, BATCH):
        found += [job for _, job in page if job is not None]
        place = page[-1][0]
    return found
