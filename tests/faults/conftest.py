"""What the fault tests share: a store of each durable kind, and a client that keeps book."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from async_job.store.open import make_store
from async_job.store.protocol import Store
from support.bookkeeping import Client
from support.servers import Server


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: Server = request.getfixturevalue("redis_server")
    server.flush()
    return server.url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = make_store(store_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Client:
    return Client(store, tmp_path / "ledger")
