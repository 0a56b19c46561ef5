"""A job as an answer: its JSON, with the headers that say how fresh it is and when to ask again."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from async_job.core.job import Job, State
from async_job.job_view import view_job
from async_job.jobs import Jobs
from async_job.web.answer import Answer, Headers, json_answer
from async_job.web.problems import retry_after

LONGEST_RETRY_AFTER: Final = 3600


class JobAnswers:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def job(self, scope: Scope, job: Job, status: int, more: Headers | None = None) -> Answer:
        headers: Headers = [(b"etag", etag(job)), (b"cache-control", b"no-cache"), *(more or ())]
        if not job.done:
            headers.append(retry_after(await self.pause(job)))
        if status == 304:
            return Answer(status, headers)
        return json_answer(view_job(job, scope["root_path"]), status, headers)

    async def pause(self, job: Job) -> int:
        """After how many seconds it is worth asking again."""
        if job.state is not State.SCHEDULED:
            return 1
        left = job.scheduled_for - (await self._jobs.store()).now()
        return min(max(1, -(-left // 1000)), LONGEST_RETRY_AFTER)


def etag(job: Job) -> bytes:
    return b'"%d"' % job.version
