"""The handlers for those who watch the server: load balancers and metrics."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from starlette.types import Receive, Scope

from async_job.errors import StoreUnavailable
from async_job.jobs import Jobs
from async_job.store.administration import WorkerInfo
from async_job.web.answer import Answer, json_answer
from async_job.web.metrics import CONTENT_TYPE, exposition
from async_job.web.schemas_system import Live, Ready

HEALTH_DEADLINE: Final = 5.0
IN_PROCESS: Final = (
    "jobs run in the process of this server: code that holds the interpreter for longer than the lease ({lease:g} s), "
    "such as one long call into C, loses its jobs to other workers, which run them again"
)


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
                store = await self._jobs.store()
                health = await store.health()
                workers = await store.administration.workers()
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {HEALTH_DEADLINE:g} s") from error
        here = any(_is_here(worker) and worker.lease_end > store.now() for worker in workers)
        caveats = [IN_PROCESS.format(lease=self._jobs.settings.lease)] if here else []
        return json_answer(Ready(store=health, caveats=caveats))

    async def metrics(self, scope: Scope, receive: Receive) -> Answer:
        """Counts of jobs, queues and workers, for Prometheus."""
        store = await self._jobs.store()
        administration = store.administration
        queues, workers = await administration.queues(), await administration.workers()
        text = exposition(await store.counts(), queues, workers, store.now())
        return Answer(200, [CONTENT_TYPE], text.encode())


def _is_here(info: WorkerInfo) -> bool:
    """Whether this very process is the worker. A supervisor's workers bear its number, which is no server's."""
    return info.worker.pid == os.getpid() and info.worker.host == socket.gethostname()
