"""Functions to start over HTTP, on a server on each store, and on one for all tests that ask for no store."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from async_job import Jobs
from support.web import Site, make_jobs, serve


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
