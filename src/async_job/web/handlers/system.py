"""The handlers that tell of the system: its functions, and whether it works."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive, Scope

from async_job.errors import StoreUnavailable
from async_job.jobs import Jobs
from async_job.web.answer import Answer, json_answer
from async_job.web.schemas_system import JobTypes, Live, Ready, view_type

HEALTH_DEADLINE: Final = 5.0


class System:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def types(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /v1/job-types``"""
        functions = sorted(self._jobs.functions.values(), key=lambda function: function.type)
        default = self._jobs.default.type
        return json_answer(JobTypes([view_type(function, function.type == default) for function in functions]))

    async def live(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /healthz``: the process answers."""
        return json_answer(Live())

    async def ready(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /readyz``: the store reads and writes. Says what a crash of it can lose."""
        try:
            async with asyncio.timeout(HEALTH_DEADLINE):
                health = await (await self._jobs.store()).health()
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {HEALTH_DEADLINE:g} s") from error
        return json_answer(Ready(store=health))
