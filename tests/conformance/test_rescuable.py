"""`rescuable`: running jobs that nobody holds a lease for."""

import pytest

from async_job.clock import ManualClock
from async_job.core.lifecycle import LeaseLapsed, Released
from async_job.errors import NotEnrolled
from async_job.store.protocol import Store
from support.jobs import HOUR, LEASE, claim, make_worker, run, submit, tell


def ids(jobs: list) -> list[str]:
    return sorted(job.id for job in jobs)


async def test_none_while_the_lease_runs(store: Store, clock: ManualClock) -> None:
    jobs = await run(store, "a", "b")
    await submit(store, "c")
    clock.advance((LEASE - 1) / 1000)
    assert await store.rescuable(10) == []
    clock.advance(0.001)
    assert sorted(await store.rescuable(10), key=lambda job: job.id) == jobs


async def test_it_only_looks(store: Store, clock: ManualClock) -> None:
    await run(store, "a")
    clock.advance(LEASE / 1000)
    assert await store.rescuable(10) == await store.rescuable(10) != []


async def test_retired_first_then_the_longest_over(store: Store, clock: ManualClock) -> None:
    await run(store, "a", worker="late")
    clock.advance(1)
    await run(store, "b", worker="later")
    await run(store, "c", worker="retired")
    await run(store, "d", worker="alive")
    clock.advance(LEASE / 1000)
    await store.retire("retired")
    await store.extend(["alive"], LEASE)
    assert [job.id for job in await store.rescuable(10)] == ["c", "a", "b"]
    assert [job.id for job in await store.rescuable(2)] == ["c", "a"]


async def test_not_more_than_the_limit(store: Store, clock: ManualClock) -> None:
    await run(store, *"abcde")
    clock.advance(LEASE / 1000)
    assert len(await store.rescuable(2)) == 2
    assert len(await store.rescuable(5)) == 5
    assert await store.rescuable(0) == []


async def test_rescued_jobs_are_out_of_it(store: Store, clock: ManualClock) -> None:
    a, *_ = await run(store, "a", "b")
    clock.advance(LEASE / 1000)
    await tell(store, a, LeaseLapsed("w:1"))
    assert ids(await store.rescuable(10)) == ["b"]


async def test_many_held_by_many(store: Store, clock: ManualClock) -> None:
    names = [f"{n:03}" for n in range(500)]
    await submit(store, *names)
    for n in range(10):
        await store.enroll(make_worker(f"w{n}"), LEASE)
        await claim(store, 1, f"w{n}", limit=50)
    clock.advance(LEASE / 1000)
    rescued: list[str] = []
    while jobs := await store.rescuable(64):
        for job in jobs:
            await tell(store, job, LeaseLapsed(job.token or ""))
        rescued += ids(jobs)
    assert sorted(rescued) == names


async def test_it_forgets_the_retired_that_hold_nothing(store: Store) -> None:
    (job,) = await run(store, "a")
    await store.retire("w")
    await store.rescuable(10)
    with pytest.raises(NotEnrolled):
        await store.enroll(make_worker(), LEASE)
    await tell(store, job, Released("w:1"))
    await store.rescuable(10)
    assert await store.extend(["w"], LEASE) == [False]
    assert await store.retire("w") == []
    with pytest.raises(NotEnrolled):
        await claim(store, 2)


async def test_it_forgets_the_lapsed_after_an_hour(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker("idle"), LEASE)
    await run(store, "a", worker="holding")
    clock.advance((LEASE + HOUR - 1) / 1000)
    await store.rescuable(10)
    assert await store.extend(["idle"], 0) == [True]
    clock.advance(HOUR / 1000)
    await store.rescuable(10)
    assert await store.extend(["idle", "holding"], LEASE) == [False, True]


async def test_it_forgets_nobody_whose_lease_runs(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), 5 * HOUR)
    clock.advance(4 * HOUR / 1000)
    await store.rescuable(0)
    assert await store.extend(["w"], LEASE) == [True]
