"""Hands back what a worker held whose process has ended."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from async_job.core.job import Job
from async_job.core.lifecycle import Retention
from async_job.logs import get_logger
from async_job.store.protocol import Store
from async_job.worker.contact import Contact
from async_job.worker.failure_log import log_failure
from async_job.worker.settle import settle
from async_job.worker.verdict import End, outcome_of, suspects

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0

log = get_logger()


async def hand_back(store: Store, retention: Retention, contact: Contact, worker: str, end: End) -> None:
    """Bars the worker's id and decides what became of each job that it held. While the store is away it tries again."""
    held: list[Job] | None = None
    pause = FIRST_PAUSE
    while True:
        with contact:
            if held is None:
                held = await store.retire(worker)
            # Who they were is what the first answer says: a part of them may be settled already.
            outcome = partial(outcome_of, end, suspects=suspects(end, held), now=store.now())
            settled = await settle(store, held, outcome, retention)
            if settled:
                states = sorted({f"{job.state} ({job.reason})" for job in settled})
                for job in settled:
                    log_failure(job)
                log.info("handed jobs back", worker=worker, jobs=len(settled), states=states)
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
