"""Stores of each kind on a clock that stands still at the present time, for receivers look at the time of a message."""

import time
from collections.abc import AsyncIterator

import pytest

from async_job.clock import ManualClock
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.sender import Sender
from async_job.webhooks.vault import new_key
from support.receiver import Receiver
from support.stores import Backend


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture
async def store(store_url: str, clock: ManualClock) -> AsyncIterator[Store]:
    store = Backend(store_url, clock).store()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def settings() -> Settings:
    """Which allow what receivers on this machine need."""
    return Settings(webhook_key=new_key(), webhook_allow_private=True, webhook_allow_http=True)


@pytest.fixture
def sender(store: Store, settings: Settings) -> Sender:
    return Sender(store, settings)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One that takes everything."""
    async with Receiver().serving() as receiver:
        yield receiver
