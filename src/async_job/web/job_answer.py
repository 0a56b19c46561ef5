"""A job as an answer: its JSON, with the headers that say how fresh it is and when to ask again."""

from __future__ import annotations

from math import ceil
from typing import Final

from msgspec.structs import replace
from starlette.types import Scope

from async_job.core.job import Job, State
from async_job.errors import StoreError
from async_job.job_view import time, view_job
from async_job.jobs import Jobs
from async_job.rates import Rates
from async_job.web.answer import Answer, Headers, json_answer
from async_job.web.problems import retry_after

LONGEST_RETRY_AFTER: Final = 3600
MOST_AHEAD: Final = 1_000
"""Stores count no further."""


class JobAnswers:
    def __init__(self, jobs: Jobs, rates: Rates) -> None:
        self._jobs = jobs
        self._rates = rates

    async def job(self, scope: Scope, job: Job, status: int, more: Headers | None = None) -> Answer:
        """The job as it was read or written."""
        return json_answer(view_job(job, scope["root_path"]), status, await self._headers(job, more))

    async def single(self, scope: Scope, job: Job, status: int, more: Headers | None = None) -> Answer:
        """The job with its place in the queue, which is no part of what the ETag stands for."""
        store = await self._jobs.store()
        ahead = await store.ahead(job.id) if job.state is State.QUEUED else None
        headers = await self._headers(job, more, ahead)
        if status == 304:
            return Answer(status, headers)
        wait = await self._wait(job, ahead)
        view = replace(
            view_job(job, scope["root_path"]),
            queue_position=None if ahead is None else min(ahead + 1, MOST_AHEAD),
            queue_position_capped=ahead is not None and ahead >= MOST_AHEAD,
            estimated_start=None if wait is None else time(store.now() + round(wait * 1000)),
        )
        return json_answer(view, status, headers)

    async def _headers(self, job: Job, more: Headers | None, ahead: int | None = None) -> Headers:
        headers: Headers = [(b"etag", etag(job)), (b"cache-control", b"no-cache"), *(more or ())]
        if not job.done:
            headers.append(retry_after(await self.pause(job, ahead)))
        return headers

    async def pause(self, job: Job, ahead: int | None = None) -> int:
        """After how many seconds it is worth asking again."""
        wait = await self._wait(job, ahead)
        return 1 if wait is None else min(max(1, ceil(wait)), LONGEST_RETRY_AFTER)

    async def _wait(self, job: Job, ahead: int | None) -> float | None:
        """Seconds until it will start; ``None``: nobody can say, or it has started. Without ``ahead`` all that are
        queued are taken to be before it."""
        store = await self._jobs.store()
        if job.state is State.SCHEDULED:
            return max(0, job.scheduled_for - store.now()) / 1000
        if job.state is not State.QUEUED:
            return None
        try:
            look = await self._rates.look(store)
        except StoreError:
            # What was asked was done, and must not be answered with an error because of an estimate.
            return None
        if ahead is None:
            known = look.queues.get(job.queue)
            ahead = known.queued if known else 0
        return self._rates.wait(job.queue, ahead)


def etag(job: Job) -> bytes:
    return b'"%d"' % job.version
