"""`wait`: a hint that there may be something to claim."""

import asyncio

import pytest

from async_job.clock import ManualClock
from async_job.core.lifecycle import CancelRequested, Failed, LeaseLapsed, Released, RetryRequested
from async_job.store.protocol import Store
from support.jobs import LEASE, change, claim, error, make_worker, run, submit, tell
from support.stores import OpenStore

PATIENCE = 100
"""Seconds after which a hint counts as lost: more than a test is given, so that a lost one fails."""


async def waiting(store: Store, *queues: str) -> asyncio.Task[None]:
    """A wait that has begun."""
    task = asyncio.ensure_future(store.wait(queues or ("default",), PATIENCE))
    await asyncio.sleep(0)
    return task


async def ends(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(20):
        await task


async def test_a_job_that_is_ready_is_not_waited_for(store: Store) -> None:
    await submit(store, "a", queue="two")
    await ends(await waiting(store, "one", "two"))


async def test_without_a_job_it_ends_in_time(store: Store) -> None:
    await store.wait(["default"], 0.02)
    await store.wait(["default"], 0)


async def test_a_submit_wakes(store: Store) -> None:
    task = await waiting(store, "one", "two")
    await submit(store, "a", queue="two")
    await ends(task)


async def test_a_submit_by_another_wakes(store: Store, open_store: OpenStore) -> None:
    other = await open_store()
    task = await waiting(store)
    await submit(other, "a")
    await ends(task)


async def test_a_time_not_known_before_wakes(store: Store) -> None:
    """Whoever sleeps until the next due time has to hear of an earlier one."""
    await submit(store, "a", delay=60_000)
    task = await waiting(store)
    await submit(store, "b", delay=1_000)
    await ends(task)


@pytest.mark.parametrize(
    "event", [Released("w:1"), Failed("w:1", error()), Failed("w:1", error(), delay=0)], ids=["back", "later", "now"]
)
async def test_a_job_given_back_wakes(store: Store, event: Released | Failed) -> None:
    (job,) = await run(store, "a")
    task = await waiting(store)
    await tell(store, job, event)
    await ends(task)


async def test_a_rescue_wakes(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    task = await waiting(store)
    clock.advance(LEASE)
    await tell(store, job, LeaseLapsed("w:1"))
    await ends(task)


async def test_a_retry_wakes(store: Store) -> None:
    (job,) = await submit(store, "a")
    cancelled = await tell(store, job, CancelRequested())
    task = await waiting(store)
    await store.apply([change(cancelled, RetryRequested(), store.now())])
    await ends(task)


async def test_everybody_gets_to_work(store: Store, open_store: OpenStore) -> None:
    """More jobs than one worker takes: each idle worker is woken, or finds what the first left behind."""
    others = [await open_store() for _ in range(3)]
    taken: list[str] = []

    async def worker(name: str, own: Store) -> None:
        await own.enroll(make_worker(name), LEASE)
        n = 0
        while len(taken) < 12:
            n += 1
            jobs = await claim(own, n, name, limit=1)
            taken.extend(job.id for job in jobs)
            if not jobs:
                # Not for ever: the last job may be gone, and then nothing more comes.
                await own.wait(["default"], 0.5)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for n, own in enumerate(others):
            group.create_task(worker(f"w{n}", own))
        await asyncio.sleep(0)
        await submit(store, *(f"{n:02}" for n in range(12)))
    assert sorted(taken) == [f"{n:02}" for n in range(12)]


async def test_a_waiter_may_give_up(store: Store) -> None:
    task = await waiting(store)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    later = await waiting(store)
    await submit(store, "a")
    await ends(later)
