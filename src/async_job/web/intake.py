"""What all requests that make jobs have in common: limits, idempotency, the owner."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.types import Scope

from async_job.core.job import Job
from async_job.core.submission import NO_OPTIONS, Options
from async_job.errors import AsyncJobError, JobNotFound, UnknownType
from async_job.handle import Handle
from async_job.jobs import Jobs
from async_job.store.protocol import IdempotencyKey
from async_job.web.admission import Admission
from async_job.web.body import check_input
from async_job.web.caller import check_webhook, key_of
from async_job.web.idempotency import idempotency_key, no_longer_kept
from async_job.web.problems import Problem
from async_job.web.request import header


class Intake:
    def __init__(self, jobs: Jobs, admission: Admission) -> None:
        self._jobs = jobs
        self._admission = admission

    async def key(self, scope: Scope, route: str, body: bytes) -> IdempotencyKey | None:
        """The request's idempotency key, if it bears one."""
        given = header(scope, b"idempotency-key")
        if given is None:
            return None
        return idempotency_key(scope, given, route, body, (await self._jobs.store()).now())

    def refusals(self, wanted: Mapping[str, int]) -> Awaitable[dict[str, Problem]]:
        """The problem of each queue that does not take so many more jobs."""
        return self._admission.refusals(wanted)

    def known(self, type: str) -> str:
        """A job type that is named in a path. Raises a problem if there is none."""
        try:
            return self._jobs.function(type).type
        except UnknownType as error:
            raise Problem(404, "unknown_type", str(error)) from error

    async def start(
        self, scope: Scope, type: str, input: bytes, key: IdempotencyKey | None, options: Options = NO_OPTIONS
    ) -> Handle[Any]:
        """Stores a job. See ``JobFunction.submit`` for what it raises."""
        settings = self._jobs.settings
        check_input(input, settings.max_input, settings.max_depth)
        check_webhook(scope, options.webhook)
        request = self._jobs.request(type, input, options, owner=key_of(scope), key=key)
        for full in (await self.refusals({request.queue: 1})).values():
            raise full
        [answer] = await self._jobs.submit_many([request])
        if isinstance(answer, AsyncJobError):
            raise answer
        return answer

    async def job(self, handle: Handle[Any]) -> Job:
        """The job as it is now. One that is new is as it was stored; it need not be read."""
        if handle.submitted is not None:
            return handle.submitted
        try:
            return await handle.job()
        except JobNotFound as error:
            if handle.replayed:
                raise no_longer_kept(handle.id) from error
            raise
