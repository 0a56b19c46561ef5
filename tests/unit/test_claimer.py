"""The claimer fills its slots, whatever their number, and holds no more than it may."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import BATCH, Claimed, ClaimId
from async_job.worker.active import ActiveRun
from async_job.worker.claimer import Claimer
from support.claiming import work
from support.jobs import LEASE, make_worker, submit


class Asked(MemoryStore):
    """Remembers how many jobs it was asked for, and how many ran at most when it gave some."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.asked: list[int] = []

    async def claim(self, claim: ClaimId, queues: Any, limit: int) -> Claimed:
        self.asked.append(limit)
        # As if the answer took its time.
        await asyncio.sleep(0)
        return await super().claim(claim, queues, limit)


@pytest.fixture
async def store() -> AsyncIterator[Asked]:
    store = Asked()
    await store.open()
    await store.enroll(make_worker("w"), LEASE)
    yield store
    await store.close()


@pytest.mark.parametrize("trips", [1, 2])
@pytest.mark.parametrize("slots", [1, 2, 3, 7, 9, 10])
async def test_every_slot_is_filled_by_jobs_that_take_long(store: Asked, slots: int, trips: int) -> None:
    await submit(store, *(str(n) for n in range(3 * slots)), type="work")
    over = asyncio.Event()

    async def call(_: Any, active: ActiveRun) -> bytes:
        await over.wait()
        return b"1"

    await work(store, slots, trips, call, lambda claimer: len(claimer.active) == slots)
    assert (await store.counts()).states[State.RUNNING] == slots
    over.set()


@pytest.mark.parametrize("trips", [1, 2])
@pytest.mark.parametrize("slots", [1, 3, 10, 100])
async def test_short_jobs_are_claimed_in_larger_groups(store: Asked, slots: int, trips: int) -> None:
    jobs = 10 * BATCH
    await submit(store, *(str(n) for n in range(jobs)), type="work")
    ran = most = 0

    async def call(_: Any, active: ActiveRun) -> bytes:
        nonlocal ran
        ran += 1
        return b"1"

    def done(claimer: Claimer) -> bool:
        nonlocal most
        most = max(most, len(claimer.active))
        return ran == jobs and not claimer.active

    await work(store, slots, trips, call, done)
    assert (await store.counts()).states[State.SUCCEEDED] == jobs
    assert slots < max(store.asked) <= BATCH // trips
    assert len(store.asked) < jobs / slots
    assert most <= BATCH
