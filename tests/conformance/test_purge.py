"""`purge`: removes finished jobs when their time is over."""

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import (
    CancelRequested,
    Event,
    Failed,
    Overdue,
    Retention,
    RetryRequested,
    Stopped,
    Succeeded,
    decide,
)
from async_job.store.protocol import Store
from support.jobs import change, claim, cursor, entries, error, read, run, submit, tell

DAY = 24 * 3600


@pytest.mark.parametrize(
    ("event", "days"),
    [(Succeeded("w:1", b"1"), 1), (Stopped("w:1"), 1), (Failed("w:1", error(retryable=False)), 7)],
)
async def test_from_kept_until_on(store: Store, clock: ManualClock, event: Event, days: int) -> None:
    (job,) = await run(store, "a", labels={"x": "y"})
    ended = await tell(store, job, event)
    clock.advance(days * DAY - 0.001)
    assert await store.purge(10) == 0
    assert await read(store, "a") == ended
    clock.advance(0.001)
    assert await store.purge(10) == 1
    assert await store.get(["a"]) == [None]
    assert await store.purge(10) == 0


async def test_an_expired_one(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a", start_by=clock.now())
    await tell(store, job, Overdue())
    clock.advance(DAY)
    assert await store.purge(10) == 1
    assert await store.get(["a"]) == [None]
    assert await store.overdue(10) == []


async def test_no_live_job(store: Store, clock: ManualClock) -> None:
    await run(store, "running")
    await submit(store, "queued")
    await submit(store, "scheduled", delay=400 * DAY * 1000)
    clock.advance(300 * DAY)
    assert await store.purge(10) == 0


async def test_not_what_is_kept_for_ever(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a")
    decided = decide(job, CancelRequested(), clock.now(), Retention(cancelled=0))
    assert decided is not None
    await store.apply([decided])
    clock.advance(30_000 * DAY)
    assert await store.purge(10) == 0
    assert (await read(store, "a")).state is State.CANCELLED


async def test_not_what_was_retried(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a")
    cancelled = await tell(store, job, CancelRequested())
    await tell(store, cancelled, RetryRequested())
    clock.advance(2 * DAY)
    assert await store.purge(10) == 0


async def test_the_oldest_first_and_not_more_than_the_limit(store: Store, clock: ManualClock) -> None:
    for job in reversed(await submit(store, *"abcde")):
        await tell(store, job, CancelRequested())
        clock.advance(1)
    clock.advance(DAY)
    assert await store.purge(2) == 2
    assert [job and job.id for job in await store.get([*"abcde"])] == ["a", "b", "c", None, None]
    assert await store.purge(0) == 0
    assert await store.purge(10) == 3


async def test_nothing_is_left_of_it(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a", unique_key="k")
    await tell(store, job, Succeeded("w:1", b"1"))
    clock.advance(DAY)
    start = await cursor(store)
    assert await store.purge(10) == 1
    assert await entries(store, start) == []
    (anew,) = await submit(store, "a", unique_key="k")
    assert await read(store, "a") == anew


async def test_the_worker_and_its_other_jobs_stay(store: Store, clock: ManualClock) -> None:
    a, b = await run(store, "a", "b")
    await tell(store, a, Succeeded("w:1", b"1"))
    clock.advance(DAY)
    assert await store.purge(10) == 1
    assert await claim(store, 1) == [b]


async def test_more_than_a_batch(store: Store, clock: ManualClock) -> None:
    jobs = await submit(store, *(f"{n:03}" for n in range(600)))
    await store.apply([change(job, CancelRequested(), clock.now()) for job in jobs])
    clock.advance(DAY)
    purged = 0
    while removed := await store.purge(500):
        purged += removed
    assert purged == 600
    assert set((await store.counts()).states.values()) == {0}
