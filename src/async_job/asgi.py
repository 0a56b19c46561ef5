"""The wiring for servers: the ASGI application, and a lifespan that runs the jobs in the server's own process.

With any ASGI server::

    app = async_job.asgi.app(jobs)

Mounted in another application, whose lifespan opens the store and runs the jobs::

    Starlette(routes=[Mount("/jobs", async_job.asgi.app(jobs))], lifespan=lambda app: async_job.asgi.lifespan(jobs))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from async_job.errors import StoreUnavailable
from async_job.jobs import Jobs
from async_job.logs import get_logger
from async_job.web.app import make_app
from async_job.web.closing import Closing
from async_job.worker.embedded import EmbeddedWorker

log = get_logger()


def app(
    jobs: Jobs, *, worker: bool = False, target: str | None = None, closing: Closing | None = None
) -> ASGIApp:
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
async def lifespan(jobs: Jobs, *, target: str | None = None) -> AsyncIterator[None]:
    """Opens the store and runs the jobs in this process, until the context is left.

    Args:
        target: ``module:attribute`` of ``jobs``, which child processes import for functions with ``runner="process"``;
            without it those run in threads.

    Raises:
        StoreRefused: the store is set up in a way that would lose jobs.
    """
    async with opened(jobs), EmbeddedWorker(jobs, target):
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
    try:
        yield
    finally:
        await jobs.close()
