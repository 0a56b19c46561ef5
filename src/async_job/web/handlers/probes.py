"""The handlers for those who watch the server: load balancers and metrics."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive, Scope

from async_job.errors import StoreUnavailable
from async_job.jobs import Jobs
from async_job.web.answer import Answer, json_answer
from async_job.web.metrics import CONTENT_TYPE, exposition
from async_job.web.schemas_system import Live, Ready

HEALTH_DEADLINE: Final = 5.0


class Probes:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def live(self, scope: Scope, receive: Receive) -> Answer:
        """The process answers."""
        return json_answer(Live())

    async def ready(self, scope: Scope, receive: Receive) -> Answer:
        """The store reads and writes. Says what a crash of it can lose."""
        try:
            async with asyncio.timeout(HEALTH_DEADLINE):
                health = await (await self._jobs.store()).health()
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {HEALTH_DEADLINE:g} s") from error
        return json_answer(Ready(store=health))

    async def metrics(self, scope: Scope, receive: Receive) -> Answer:
        """Counts of jobs, queues and workers, for Prometheus."""
        store = await self._jobs.store()
        administration = store.administration
        queues, workers = await administration.queues(), await administration.workers()
        text = exposition(await store.counts(), queues, workers, store.now())
        return Answer(200, [CONTENT_TYPE], text.encode())
