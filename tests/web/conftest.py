"""Functions to start over HTTP, on a server on each store, and on one for all tests that ask for no store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from async_job import Context, Jobs
from support.web import Site, serve


def make_jobs(store_url: str, **settings: Any) -> Jobs:
    jobs = Jobs(store=store_url, **settings)

    @jobs.job
    async def add(a: int, b: int = 1) -> int:
        """Adds two numbers."""
        return a + b

    @jobs.job(max_attempts=1)
    async def fail(message: str = "no luck") -> None:
        raise ValueError(message)

    @jobs.job(queue="slow", max_attempts=7, max_crashes=2, timeout=90)
    def keep(anything: Any = None) -> Any:
        return anything

    @jobs.job
    async def steps(context: Context) -> str:
        context.progress(1, 4, "begun")
        return "done"

    return jobs


@pytest.fixture
def jobs(store_url: str) -> Jobs:
    return make_jobs(store_url)


@pytest.fixture
async def site(jobs: Jobs) -> AsyncIterator[Site]:
    """Serves the jobs; nobody runs them."""
    async with serve(jobs) as site:
        yield site


@pytest.fixture
async def busy_site(jobs: Jobs) -> AsyncIterator[Site]:
    """Serves the jobs, and runs them."""
    async with serve(jobs, worker=True) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plain() -> AsyncIterator[Site]:
    """One server on memory for all tests of a module, for what does not depend on the store."""
    async with serve(make_jobs("memory://")) as site:
        yield site
