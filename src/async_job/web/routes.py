"""The handlers of ``/v1``, and of what a load balancer asks."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from starlette.types import Receive, Scope

from async_job.core.job import Job, State
from async_job.errors import JobNotFound, StoreUnavailable
from async_job.jobs import Jobs
from async_job.web.answer import JSON, Answer, Headers, json_answer
from async_job.web.body import check_input, read_json
from async_job.web.original import refuse_idempotency_key
from async_job.web.problems import Problem, retry_after
from async_job.web.request import header, matches_etag, path_guid, preferred_wait
from async_job.web.schemas import JobTypes, Submission, job_path, view_error, view_job, view_type
from async_job.web.waiting import wait_for

LONGEST_RETRY_AFTER: Final = 3600
HEALTH_DEADLINE: Final = 5.0

decode_submission = msgspec.json.Decoder(Submission).decode


class Routes:
    """``closing`` is set when the server shuts down: nobody waits on."""

    def __init__(self, jobs: Jobs, closing: asyncio.Event) -> None:
        self._jobs = jobs
        self._closing = closing

    async def submit(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /v1/jobs``"""
        refuse_idempotency_key(scope)
        settings = self._jobs.settings
        submission = _submission(await read_json(scope, receive, settings.max_body))
        input = bytes(submission.input)
        check_input(input, settings.max_input, settings.max_depth)
        handle = await self._jobs.submit(submission.type, input, submission.options)
        location = (b"location", job_path(handle.id, scope["root_path"]).encode())
        wait = self._wait(scope)
        if wait is None:
            # A job that is new is as it was stored; it need not be read.
            job = handle.submitted or await handle.job()
            return await self._job(scope, job, 202, [location])
        try:
            job = await wait_for(self._jobs, handle.id, _is_done, wait, receive, self._closing)
        except (StoreUnavailable, JobNotFound):
            # The job is stored, and a client that heard of an error would send it again.
            if handle.submitted is None:
                raise
            job = handle.submitted
        return await self._job(scope, job, 200 if job.done else 202, [location, _applied(wait)])

    async def get(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /v1/jobs/{id}``"""
        id = _id(scope)
        known = header(scope, b"if-none-match")
        wait = self._wait(scope)
        headers: Headers = []
        if wait is None:
            job = await self._jobs.get(id)
        else:

            def is_wanted(job: Job) -> bool:
                return job.done if known is None else not matches_etag(known, _etag(job))

            job = await wait_for(self._jobs, id, is_wanted, wait, receive, self._closing)
            headers.append(_applied(wait))
        return await self._job(scope, job, 304 if matches_etag(known, _etag(job)) else 200, headers)

    async def result(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /v1/jobs/{id}/result``"""
        job = await self._jobs.get(_id(scope))
        if not job.done:
            pause = await self._pause(job)
            raise Problem(409, "not_finished", f"job {job.id} is {job.state}", [retry_after(pause)], state=job.state)
        if job.state is not State.SUCCEEDED:
            detail = f"job {job.id} has no result: it {job.state}" + (f": {job.error.message}" if job.error else "")
            raise Problem(409, str(job.state), detail, state=job.state, error=view_error(job.error))
        if job.result is None:
            raise Problem(410, "result_gone", f"the result of job {job.id} is no longer kept")
        return Answer(200, [JSON], job.result)

    async def cancel(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /v1/jobs/{id}/cancel``: 200 when it has ended by that, 202 when it was asked to."""
        job = await self._jobs.cancel(_id(scope))
        return await self._job(scope, job, 200 if job.done else 202)

    async def retry(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /v1/jobs/{id}/retry``"""
        job = await self._jobs.retry(_id(scope))
        return await self._job(scope, job, 202, [(b"location", job_path(job.id, scope["root_path"]).encode())])

    async def types(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /v1/job-types``"""
        functions = sorted(self._jobs.functions.values(), key=lambda function: function.type)
        default = self._jobs.default.type
        return json_answer(JobTypes([view_type(function, function.type == default) for function in functions]))

    async def live(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /healthz``: the process answers."""
        return json_answer({"status": "ok"})

    async def ready(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /readyz``: the store reads and writes. Says what a crash of it can lose."""
        try:
            async with asyncio.timeout(HEALTH_DEADLINE):
                health = await (await self._jobs.store()).health()
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {HEALTH_DEADLINE:g} s") from error
        return json_answer({"status": "ready", "store": health})

    async def _job(self, scope: Scope, job: Job, status: int, more: Headers | None = None) -> Answer:
        headers: Headers = [(b"etag", _etag(job)), (b"cache-control", b"no-cache"), *(more or ())]
        if not job.done:
            headers.append(retry_after(await self._pause(job)))
        if status == 304:
            return Answer(status, headers)
        return json_answer(view_job(job, scope["root_path"]), status, headers)

    async def _pause(self, job: Job) -> int:
        """After how many seconds it is worth asking again."""
        if job.state is not State.SCHEDULED:
            return 1
        left = job.scheduled_for - (await self._jobs.store()).now()
        return min(max(1, -(-left // 1000)), LONGEST_RETRY_AFTER)

    def _wait(self, scope: Scope) -> float | None:
        wanted = preferred_wait(scope)
        return None if wanted is None else min(wanted, self._jobs.settings.max_wait)


def _id(scope: Scope) -> str:
    id = path_guid(scope)
    if id is None:
        raise JobNotFound(scope["path_params"]["id"][:100])
    return id


def _submission(body: bytes) -> Submission:
    if not body:
        raise Problem(400, "malformed_json", "the body is empty; send a JSON object with a type")
    try:
        return decode_submission(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise Problem(422, "invalid_request", reason, at=path.rstrip("`")) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed_json", f"the body is no JSON: {error}") from error


def _is_done(job: Job) -> bool:
    return job.done


def _etag(job: Job) -> bytes:
    return b'"%d"' % job.version


def _applied(wait: float) -> tuple[bytes, bytes]:
    return (b"preference-applied", f"wait={wait:g}".encode())
