"""A server that runs jobs, and both clients of it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from async_job import AsyncClient, Client, Jobs
from support.clients import Asker, make_jobs
from support.web import Site, serve


@pytest.fixture
def jobs() -> Jobs:
    return make_jobs()


@pytest.fixture
async def site(jobs: Jobs) -> AsyncIterator[Site]:
    async with serve(jobs, worker=True) as site:
        yield site


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "async"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Asker]]:
    """Makes clients of one kind: ``connect(url, …)``."""
    made: list[Asker] = []

    def connect(url: str, **options: Any) -> Asker:
        asker = Asker(request.param(url, **options))
        made.append(asker)
        return asker

    yield connect
    for asker in made:
        await asker.ask("close")


@pytest.fixture
def client(site: Site, connect: Callable[..., Asker]) -> Asker:
    return connect(f"http://127.0.0.1:{site.port}", patience=5)
