"""`overdue`: jobs that were not started by their deadline."""

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, NotStarted, Overdue, Released, RetryRequested
from async_job.store.protocol import Store
from support.jobs import HOUR, claim, make_job, read, run, submit, tell


async def test_from_the_deadline_on(store: Store, clock: ManualClock) -> None:
    jobs = await submit(store, "a", start_by=clock.now() + 1_000)
    jobs += await submit(store, "b", delay=HOUR, start_by=clock.now() + 1_000)
    clock.advance(0.999)
    assert await store.overdue(10) == []
    clock.advance(0.001)
    assert await store.overdue(10) == jobs
    assert await store.overdue(10) == jobs


async def test_the_oldest_first_then_by_id(store: Store, clock: ManualClock) -> None:
    now = clock.now()
    await store.submit([make_job(now, id, start_by=now + n) for id, n in (("c", 2), ("b", 2), ("d", 1), ("a", 3))])
    clock.advance(1)
    assert [job.id for job in await store.overdue(10)] == ["d", "b", "c", "a"]
    assert [job.id for job in await store.overdue(2)] == ["d", "b"]
    assert await store.overdue(0) == []


async def test_no_running_and_no_ended_job(store: Store, clock: ManualClock) -> None:
    deadline = clock.now() + 1_000
    await run(store, "running", start_by=deadline)
    (cancelled,) = await submit(store, "cancelled", start_by=deadline)
    await tell(store, cancelled, CancelRequested())
    clock.advance(2)
    assert await store.overdue(10) == []


async def test_no_job_that_was_started_once(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a", start_by=clock.now() + 1_000)
    await tell(store, job, Released("w:1"))
    clock.advance(2)
    assert await store.overdue(10) == []


async def test_an_expired_job_is_out_of_it_and_a_retried_one_has_none(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a", start_by=clock.now())
    expired = await tell(store, job, Overdue())
    assert await store.overdue(10) == []
    await tell(store, expired, RetryRequested())
    clock.advance(HOUR)
    assert await store.overdue(10) == []


async def test_more_than_a_batch(store: Store, clock: ManualClock) -> None:
    names = [f"{n:03}" for n in range(600)]
    await submit(store, *names, start_by=clock.now())
    expired: list[str] = []
    while jobs := await store.overdue(250):
        expired += [(await tell(store, job, Overdue())).id for job in jobs]
    assert expired == names


async def test_what_was_claimed_and_not_begun_keeps_its_deadline(store: Store, clock: ManualClock) -> None:
    [job] = await run(store, "a", start_by=clock.now() + 1_000)
    job = await tell(store, job, NotStarted(job.token or ""))
    assert (job.state, job.attempt, job.started_at, job.attempts) == (State.QUEUED, 0, None, ())
    assert await read(store, "a") == job
    assert await store.overdue(10) == []
    clock.advance(1)
    assert [found.id for found in await store.overdue(10)] == ["a"]
    assert await claim(store, 2) == []
    assert await store.check() == []


async def test_what_was_begun_before_has_none(store: Store, clock: ManualClock) -> None:
    [job] = await run(store, "a", start_by=clock.now() + 1_000)
    await tell(store, job, Released(job.token or ""))
    [job] = await claim(store, 2)
    job = await tell(store, job, NotStarted(job.token or ""))
    assert (job.attempt, len(job.attempts)) == (1, 1)
    clock.advance(1)
    assert await store.overdue(10) == []
    assert [found.id for found in await claim(store, 3)] == ["a"]
    assert await store.check() == []
