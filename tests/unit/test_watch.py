"""A job that somebody waits for comes along with the change log; where there are many, each is read when it may be as
wanted, and not at each step before."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Job, State
from async_job.core.lifecycle import Succeeded
from async_job.store.memory.store import MemoryStore
from async_job.watch import ALONG, Watcher
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
    await tell(store, job, Succeeded(job.token or "", b"1"))
    ended = await waiting
    assert ended is not None
    assert ended.state is State.SUCCEEDED
    assert store.reads == 0


async def test_the_end_of_one_of_many(store: Counted, watcher: Watcher) -> None:
    ids = [f"{n}" for n in range(ALONG + 1)]
    await submit(store, *ids)
    await store.enroll(make_worker(), LEASE)
    waiting = {id: asyncio.create_task(watcher.wait(id, None, 30)) for id in ids}
    await until(lambda: watcher.reads == 1)
    before = store.reads
    jobs = await claim(store)
    await until(lambda: watcher.reads == 2)
    assert store.reads == before
    await tell(store, jobs[0], Succeeded(jobs[0].token or "", b"1"))
    ended = await waiting.pop(jobs[0].id)
    assert ended is not None
    assert ended.state is State.SUCCEEDED
    assert store.reads == before + 1
    for task in waiting.values():
        task.cancel()


async def test_any_other_wish(store: Counted, watcher: Watcher) -> None:
    await submit(store, "a")
    await store.enroll(make_worker(), LEASE)
    waiting = asyncio.create_task(watcher.wait("a", lambda job: job.state is State.RUNNING, 30))
    await until(lambda: watcher.reads == 1)
    await claim(store)
    started = await waiting
    assert started is not None
    assert started.state is State.RUNNING
