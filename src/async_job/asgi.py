"""The wiring for servers: the ASGI application, and a lifespan that runs the jobs in the server's own process.

With any ASGI server::

    app = async_job.asgi.app(jobs)

Mounted in another application, whose lifespan opens the store and runs the jobs::

    Starlette(routes=[Mount("/jobs", async_job.asgi.app(jobs))], lifespan=lambda app: async_job.asgi.lifespan(jobs))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from async_job.errors import StoreUnavailable
from async_job.handle import Handle
from async_job.job_view import job_path
from async_job.jobs import Jobs
from async_job.loading import warn_of_unserved
from async_job.logs import get_logger
from async_job.rates import Rates
from async_job.web.app import make_app
from async_job.web.closing import Closing
from async_job.web.job_answer import JobAnswers
from async_job.worker.beside import supervised
from async_job.worker.embedded import EmbeddedWorker
from async_job.worker.loop_monitor import LoopMonitor

log = get_logger()


def app(jobs: Jobs, *, worker: bool = False, target: str | None = None, closing: Closing | None = None) -> ASGIApp:
    """The HTTP side of these jobs.

    Args:
        worker: run the jobs in this process, too; otherwise worker processes do.
        target: as for ``lifespan``.
        closing: what the server sets when it is about to stop, so that no client is kept waiting; without it, the
            signal that ends the server is heeded for that.
    """
    made = (lambda _: lifespan(jobs, target=target)) if worker else (lambda _: opened(jobs))
    return make_app(jobs, made, closing or Closing(heed_signals=True))


@asynccontextmanager
async def lifespan(jobs: Jobs, *, processes: int | None = None, target: str | None = None) -> AsyncIterator[None]:
    """Opens the store and runs the jobs, until the context is left.

    Args:
        processes: run them in so many worker processes, under a supervisor that is a child of this process; without
            it they run on this event loop and in its threads.
        target: ``module:attribute`` of ``jobs``, for the processes to import. Worker processes need it only where the
            module cannot be found out. Without worker processes, functions with ``runner="process"`` get child
            processes if it is given, and run in threads otherwise.

    Raises:
        StoreRefused: the store is set up in a way that would lose jobs.
        UsageError: the worker processes cannot import the jobs.
    """
    warn_of_unserved(jobs)
    running = EmbeddedWorker(jobs, target) if processes is None else supervised(jobs, target, processes)
    async with opened(jobs), running:
        yield


@asynccontextmanager
async def opened(jobs: Jobs) -> AsyncIterator[None]:
    """Opens the store and closes it. While it is away requests are answered with 503, and each tries anew.

    Raises:
        StoreRefused: the store is set up in a way that would lose jobs.
    """
    try:
        await jobs.store()
    except StoreUnavailable as error:
        log.warning("the store does not answer; until it does, requests are answered with 503", error=str(error))
    with LoopMonitor(jobs.settings.loop_warning):
        try:
            yield
        finally:
            await jobs.close()


async def accepted(jobs: Jobs, handle: Handle[Any], at: str = "") -> Response:
    """The answer of a handler that has submitted a job: 202, with the job, and with where and when to ask about it.

    Args:
        at: the path where clients find ``app(jobs)`` or the router, as in ``/jobs``.
    """
    job = handle.submitted or await handle.job()
    location = (b"location", job_path(job.id, at).encode())
    answer = await JobAnswers(jobs, Rates()).job({"root_path": at}, job, HTTPStatus.ACCEPTED, [location])
    response = Response(answer.body, answer.status)
    response.raw_headers.extend(answer.headers)
    return response
