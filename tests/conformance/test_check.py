"""`check`: nothing is wrong with a store in use. What it finds in a damaged one, each store's own tests show."""

from async_job.clock import ManualClock
from async_job.core.lifecycle import CancelRequested, Crashed, Failed, Overdue, Released, RetryRequested, Succeeded
from async_job.store.protocol import Store
from support.jobs import LEASE, claim, error, make_worker, run, submit, tell


async def test_an_empty_store(store: Store) -> None:
    assert await store.check() == []


async def test_after_each_step_of_many_lives(store: Store, clock: ManualClock) -> None:
    jobs = await run(store, *"abcdefg", unique_key=None, start_by=clock.now() + 1_000)
    events = [
        Succeeded("w:1", b"1"),
        Failed("w:1", error()),
        Failed("w:1", error(retryable=False)),
        Released("w:1"),
        Crashed("w:1", "x", alone=True),
        CancelRequested(),
    ]
    for job, event in zip(jobs, events, strict=False):
        await tell(store, job, event)
        assert await store.check() == []
    await submit(store, "x", unique_key="k", delay=5, start_by=clock.now())
    (queued,) = await submit(store, "y", unique_key="l", start_by=clock.now())
    assert await store.check() == []
    expired = await tell(store, queued, Overdue())
    assert await store.check() == []
    await tell(store, expired, RetryRequested())
    assert await store.check() == []
    clock.advance(2)
    await claim(store, 2)
    await store.retire("w")
    assert await store.check() == []
    clock.advance(30 * 24 * 3600)
    assert await store.purge(100) == 2
    assert await store.check() == []


async def test_a_lapsed_or_retired_holder_is_no_fault(store: Store, clock: ManualClock) -> None:
    await run(store, "a")
    await run(store, "b", worker="v")
    clock.advance(LEASE)
    assert await store.check() == []
    await store.retire("w")
    await store.rescuable(10)
    assert await store.check() == []


async def test_more_than_a_batch(store: Store) -> None:
    await submit(store, *(f"{n:03}" for n in range(700)))
    await store.enroll(make_worker(), LEASE)
    for n in range(1, 4):
        await claim(store, n)
    assert await store.check() == []
