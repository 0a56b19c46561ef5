"""The handlers that make a job."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope

from async_job.core.job import Job
from async_job.errors import JobNotFound, StoreUnavailable
from async_job.handle import Handle
from async_job.job_view import job_path
from async_job.jobs import Jobs
from async_job.submitting import same_again
from async_job.web.answer import Answer, Headers
from async_job.web.body import decode, read, read_json
from async_job.web.caller import visible
from async_job.web.closing import Closing
from async_job.web.idempotency import REPLAYED
from async_job.web.intake import Intake
from async_job.web.job_answer import JobAnswers
from async_job.web.request import path_job, wait_within
from async_job.web.schemas import Submission
from async_job.web.waiting import applied, wait_for

EMPTY_INPUT: Final = b"{}"

decode_submission = msgspec.json.Decoder(Submission).decode


class Submissions:
    """``closing`` is set when the server shuts down: nobody waits on."""

    def __init__(self, jobs: Jobs, intake: Intake, answers: JobAnswers, closing: Closing) -> None:
        self._jobs = jobs
        self._intake = intake
        self._answers = answers
        self._closing = closing

    async def submit(self, scope: Scope, receive: Receive) -> Answer:
        """Starts a job of any type."""
        body = await self._body(scope, receive)
        submission = decode(decode_submission, body)
        key = await self._intake.key(scope, "POST /v1/jobs", body)
        handle = await self._intake.start(scope, submission.type, bytes(submission.input), key, submission.options)
        return await self._answer(scope, receive, handle)

    async def submit_typed(self, scope: Scope, receive: Receive) -> Answer:
        """Starts a job of this type; the body is its input."""
        type = self._intake.known(scope["path_params"]["type"])
        body = await self._body(scope, receive) or EMPTY_INPUT
        key = await self._intake.key(scope, "POST /v1/job-types/{type}/jobs", body)
        return await self._answer(scope, receive, await self._intake.start(scope, type, body, key))

    async def rerun(self, scope: Scope, receive: Receive) -> Answer:
        """Starts another job with the same input, queue, priority, labels, limits and webhook."""
        key = await self._intake.key(scope, "POST /v1/jobs/{id}/rerun", b"")
        await read(scope, receive, self._jobs.settings.max_body, self._jobs.settings.body_deadline)
        job = visible(scope, await self._jobs.get(path_job(scope)))
        handle = await self._intake.start(scope, job.type, job.input, key, same_again(job))
        return await self._answer(scope, receive, handle)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        settings = self._jobs.settings
        return await read_json(scope, receive, settings.max_body, settings.body_deadline)

    async def _answer(self, scope: Scope, receive: Receive, handle: Handle[Any]) -> Answer:
        headers: Headers = [(b"location", job_path(handle.id, scope["root_path"]).encode())]
        if handle.replayed:
            headers.append(REPLAYED)
        wait = wait_within(scope, self._jobs.settings.max_wait)
        job = await self._intake.job(handle)
        if wait is None:
            return await self._answers.job(scope, job, 202, headers)
        job = await self._wait(job, wait, receive)
        return await self._answers.job(scope, job, 200 if job.done else 202, [*headers, applied(wait)])

    async def _wait(self, job: Job, seconds: float, receive: Receive) -> Job:
        try:
            return await wait_for(self._jobs, job.id, None, seconds, receive, self._closing)
        except (StoreUnavailable, JobNotFound):
            # The job is stored, and a client that heard of an error would send it again.
            return job
