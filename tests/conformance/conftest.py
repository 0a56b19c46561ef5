"""A fresh, open store for each test, of each kind in turn, on a clock that stands still."""

from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from async_job.clock import Clock, ManualClock
from async_job.store.protocol import Store
from support.stores import Backend, OpenStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def open_store(store_url: str, clock: ManualClock) -> AsyncIterator[OpenStore]:
    """Opens one more store object on the test's backend: ``await open_store()``."""
    backend = Backend(store_url, clock)
    stores: list[Store] = []

    async def another() -> Store:
        store = backend.store()
        await store.open()
        stores.append(store)
        return store

    yield another
    for store in stores:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    """The test's store. Whatever the test did to it, afterwards every job is where it has to be."""
    store = await open_store()
    yield store
    assert await store.check() == []


@pytest.fixture
def new_backend(store_url: str) -> Callable[[Clock], Backend]:
    """Makes one empty backend after another, for a test that runs many programs."""
    numbers = count()
    return lambda clock: Backend(store_url, clock, next(numbers))
