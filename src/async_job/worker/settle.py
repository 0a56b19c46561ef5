"""Decides what follows from an event for several jobs, and writes it down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from async_job.core.job import Change, Job
from async_job.core.lifecycle import Event, Retention, decide
from async_job.errors import Lost, NotOverdue, StoreUnavailable, Unreadable
from async_job.logs import get_logger
from async_job.store.protocol import Stale, Store

TRIES: Final = 5

log = get_logger()


async def settle(
    store: Store, jobs: Sequence[Job], event_of: Callable[[Job], Event], retention: Retention
) -> list[Job]:
    """The jobs after their changes. A job that moved in the meantime is decided anew; one that the event no longer
    concerns is left out, and so is one whose record can no longer be read.

    Raises:
        StoreUnavailable: the store is away, or a job moved each time; all of it may be done again.
    """
    settled: list[Job] = []
    for _ in range(TRIES):
        changes = [change for job in jobs if (change := _decide(job, event_of(job), store.now(), retention))]
        if not changes:
            return settled
        answers = await _apply(store, changes)
        settled += [answer for answer in answers if isinstance(answer, Job)]
        # Where the job is as it was, it is its worker's lease that was renewed: there is nothing to decide anew.
        jobs = [
            answer.job
            for change, answer in zip(changes, answers, strict=True)
            if not isinstance(answer, Job) and answer.job is not None and answer.job.version != change.job.version
        ]
    if jobs:
        raise StoreUnavailable(f"job {jobs[0].id} changed {TRIES} times while this was tried; try again")
    return settled


async def _apply(store: Store, changes: Sequence[Change]) -> list[Job | Stale]:
    try:
        return await store.apply(changes)
    except Unreadable:
        return [answer for change in changes for answer in await _apply_alone(store, change)]


async def _apply_alone(store: Store, change: Change) -> list[Job | Stale]:
    try:
        return await store.apply([change])
    except Unreadable as error:
        log.error("left as it is", job=change.job.id, error=str(error))  # noqa: TRY400 - the error says it all
        return [Stale(None)]


def _decide(job: Job, event: Event, now: int, retention: Retention) -> Change | None:
    try:
        return decide(job, event, now, retention)
    except (Lost, NotOverdue):
        return None
