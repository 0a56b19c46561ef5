"""The handlers that tell of the system: its functions, queues and workers."""

from __future__ import annotations

from starlette.types import Receive, Scope

from async_job.core.submission import NAME
from async_job.job_view import time
from async_job.jobs import Jobs
from async_job.rates import Rates
from async_job.store.administration import QueueInfo
from async_job.web.answer import Answer, json_answer
from async_job.web.problems import Problem
from async_job.web.schemas_system import (
    JobTypes,
    Queues,
    QueueView,
    Stats,
    Workers,
    view_queue,
    view_type,
    view_worker,
)


class System:
    def __init__(self, jobs: Jobs, rates: Rates) -> None:
        self._jobs = jobs
        self._rates = rates

    async def types(self, scope: Scope, receive: Receive) -> Answer:
        """The registered functions, with the JSON Schemas of their input and result."""
        functions = sorted(self._jobs.functions.values(), key=lambda function: function.type)
        default = self._jobs.default.type
        return json_answer(JobTypes([view_type(function, function.type == default) for function in functions]))

    async def queues(self, scope: Scope, receive: Receive) -> Answer:
        """The queues that hold jobs, are paused, or have been served."""
        return json_answer(Queues(await self._queues()))

    async def pause(self, scope: Scope, receive: Receive) -> Answer:
        """Starts no more jobs of the queue, until it is resumed. What runs goes on, and new jobs are taken."""
        queue = _queue(scope)
        store = await self._jobs.store()
        await store.administration.pause(queue)
        return await self._queue(queue)

    async def resume(self, scope: Scope, receive: Receive) -> Answer:
        """Starts jobs of the queue again."""
        queue = _queue(scope)
        store = await self._jobs.store()
        await store.administration.resume(queue)
        return await self._queue(queue)

    async def workers(self, scope: Scope, receive: Receive) -> Answer:
        """The worker processes."""
        store = await self._jobs.store()
        workers = await store.administration.workers()
        return json_answer(Workers([view_worker(worker, store.now()) for worker in workers]))

    async def stats(self, scope: Scope, receive: Receive) -> Answer:
        """How many jobs are in each state and queue, and what there is to run them."""
        store = await self._jobs.store()
        counts = await store.counts()
        now = store.now()
        alive = [worker for worker in await store.administration.workers() if worker.lease_end > now]
        stats = Stats(
            now=time(now),
            states=counts.states,
            queues=await self._queues(),
            workers=len(alive),
            slots=sum(worker.worker.concurrency for worker in alive),
            running=sum(worker.running for worker in alive),
        )
        return json_answer(stats)

    async def _queues(self) -> list[QueueView]:
        look = await self._rates.look(await self._jobs.store(), fresh=1)
        return [view_queue(queue, self._rates.rate(queue.name)) for queue in look.queues.values()]

    async def _queue(self, name: str) -> Answer:
        """The queue as it is now; one that nobody has used is empty."""
        store = await self._jobs.store()
        known = {queue.name: queue for queue in await store.administration.queues()}
        unused = QueueInfo(name=name, queued=0, paused=False, ready_since=None, started=0)
        return json_answer(view_queue(known.get(name, unused), self._rates.rate(name)))


def _queue(scope: Scope) -> str:
    name: str = scope["path_params"]["queue"]
    if not NAME.fullmatch(name):
        raise Problem(404, "unknown_queue", "a queue's name is 1 to 64 letters, digits or any of _ . -")
    return name
