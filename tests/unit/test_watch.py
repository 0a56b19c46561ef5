"""Who waits for a job's end has it read when it may have ended, and not at each step before."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Job, State
from async_job.core.lifecycle import Succeeded
from async_job.store.memory.store import MemoryStore
from async_job.watch import Watcher
from support.jobs import LEASE, claim, make_worker, submit, tell
from support.until import until


class Counted(MemoryStore):
    """Counts how often jobs are read."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.reads = 0

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        self.reads += 1
        return await super().get(ids)


@pytest.fixture
async def store() -> AsyncIterator[Counted]:
    store = Counted()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def watcher(store: Counted) -> AsyncIterator[Watcher]:
    watcher = Watcher(store)
    yield watcher
    await watcher.close()


async def test_the_end(store: Counted, watcher: Watcher) -> None:
    await submit(store, "a")
    await store.enroll(make_worker(), LEASE)
    waiting = asyncio.create_task(watcher.wait("a", None, 30))
    await until(lambda: watcher.reads == 1)
    [job] = await claim(store)
    await until(lambda: watcher.reads == 2)
    assert store.reads == 1
    await tell(store, job, Succeeded(job.token or "", b"1"))
    ended = await waiting
    assert ended is not None
    assert ended.state is State.SUCCEEDED
    assert store.reads == 2


async def test_any_other_wish(store: Counted, watcher: Watcher) -> None:
    await submit(store, "a")
    await store.enroll(make_worker(), LEASE)
    waiting = asyncio.create_task(watcher.wait("a", lambda job: job.state is State.RUNNING, 30))
    await until(lambda: watcher.reads == 1)
    await claim(store)
    started = await waiting
    assert started is not None
    assert started.state is State.RUNNING
