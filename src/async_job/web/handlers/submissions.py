"""The handlers that make jobs."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope

from async_job.errors import JobNotFound, StoreUnavailable
from async_job.job_view import job_path
from async_job.jobs import Jobs
from async_job.web.answer import Answer
from async_job.web.body import check_input, decode, read_json
from async_job.web.closing import Closing
from async_job.web.handlers.original import refuse_idempotency_key
from async_job.web.job_answer import JobAnswers
from async_job.web.request import wait_within
from async_job.web.schemas import Submission
from async_job.web.waiting import applied, is_done, wait_for

decode_submission = msgspec.json.Decoder(Submission).decode


class Submissions:
    """``closing`` is set when the server shuts down: nobody waits on."""

    def __init__(self, jobs: Jobs, closing: Closing) -> None:
        self._jobs = jobs
        self._closing = closing
        self._answers = JobAnswers(jobs)

    async def submit(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /v1/jobs``"""
        refuse_idempotency_key(scope)
        settings = self._jobs.settings
        submission = decode(decode_submission, await read_json(scope, receive, settings.max_body))
        input = bytes(submission.input)
        check_input(input, settings.max_input, settings.max_depth)
        handle = await self._jobs.submit(submission.type, input, submission.options)
        location = (b"location", job_path(handle.id, scope["root_path"]).encode())
        wait = wait_within(scope, settings.max_wait)
        if wait is None:
            # A job that is new is as it was stored; it need not be read.
            job = handle.submitted or await handle.job()
            return await self._answers.job(scope, job, 202, [location])
        try:
            job = await wait_for(self._jobs, handle.id, is_done, wait, receive, self._closing)
        except (StoreUnavailable, JobNotFound):
            # The job is stored, and a client that heard of an error would send it again.
            if handle.submitted is None:
                raise
            job = handle.submitted
        return await self._answers.job(scope, job, 200 if job.done else 202, [location, applied(wait)])
