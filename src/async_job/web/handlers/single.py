"""The handlers of one job, by its id."""

from __future__ import annotations

from starlette.types import Receive, Scope

from async_job.core.job import Job, State
from async_job.job_view import job_path, view_error
from async_job.jobs import Jobs
from async_job.web.answer import JSON, Answer, Headers
from async_job.web.caller import confined_to, visible
from async_job.web.closing import Closing
from async_job.web.job_answer import JobAnswers, etag
from async_job.web.problems import Problem, retry_after
from async_job.web.request import header, matches_etag, path_job, wait_within
from async_job.web.waiting import applied, wait_for


class SingleJob:
    """``closing`` is set when the server shuts down: nobody waits on."""

    def __init__(self, jobs: Jobs, answers: JobAnswers, closing: Closing) -> None:
        self._jobs = jobs
        self._answers = answers
        self._closing = closing

    async def get(self, scope: Scope, receive: Receive) -> Answer:
        """The job as it is. With ``Prefer: wait=N`` the answer comes when it has ended, or with ``If-None-Match`` as
        soon as it is another version."""
        known = header(scope, b"if-none-match")
        wait = wait_within(scope, self._jobs.settings.max_wait)
        headers: Headers = []
        if wait is None:
            job = visible(scope, await self._jobs.get(path_job(scope)))
        else:

            def is_another(job: Job) -> bool:
                return not matches_etag(known, etag(job))

            id = await self._own(scope)
            job = await wait_for(self._jobs, id, None if known is None else is_another, wait, receive, self._closing)
            headers.append(applied(wait))
        return await self._answers.single(scope, job, 304 if matches_etag(known, etag(job)) else 200, headers)

    async def result(self, scope: Scope, receive: Receive) -> Answer:
        """What the job's function returned, as it is."""
        job = visible(scope, await self._jobs.get(path_job(scope)))
        if not job.done:
            pause = await self._answers.pause(job)
            raise Problem(409, "not_finished", f"job {job.id} is {job.state}", [retry_after(pause)], state=job.state)
        if job.state is not State.SUCCEEDED:
            detail = f"job {job.id} has no result: it {job.state}" + (f": {job.error.message}" if job.error else "")
            raise Problem(409, str(job.state), detail, state=job.state, error=view_error(job.error))
        if job.result is None:
            raise Problem(410, "result_gone", f"the result of job {job.id} is no longer kept")
        return Answer(200, [JSON], job.result)

    async def cancel(self, scope: Scope, receive: Receive) -> Answer:
        """Cancels the job: 200 when it has ended by that, 202 when it runs and was asked to stop."""
        job = await self._jobs.cancel(await self._own(scope))
        return await self._answers.job(scope, job, 200 if job.done else 202)

    async def retry(self, scope: Scope, receive: Receive) -> Answer:
        """Runs a failed, cancelled or expired job again, under the same id."""
        job = await self._jobs.retry(await self._own(scope))
        location = (b"location", job_path(job.id, scope["root_path"]).encode())
        return await self._answers.job(scope, job, 202, [location])

    async def delete(self, scope: Scope, receive: Receive) -> Answer:
        """Removes an ended job with all that belongs to it."""
        await self._jobs.delete(await self._own(scope))
        return Answer(204, [])

    async def _own(self, scope: Scope) -> str:
        """The id in the path, of a job that the caller may see."""
        id = path_job(scope)
        if confined_to(scope) is not None:
            visible(scope, await self._jobs.get(id))
        return id
