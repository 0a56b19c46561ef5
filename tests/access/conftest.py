"""An open store of each kind, on a clock that stands still."""

from collections.abc import AsyncIterator

import pytest

from async_job.clock import ManualClock
from async_job.store.protocol import Store
from support.stores import Backend


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(store_url: str, clock: ManualClock) -> AsyncIterator[Store]:
    store = Backend(store_url, clock).store()
    await store.open()
    yield store
    await store.close()
