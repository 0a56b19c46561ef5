"""Leases: who owns a job when a worker is lost, paused, or cut off and back again."""

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import Crashed, Event, Failed, LeaseLapsed, Released, Succeeded
from async_job.errors import LeaseOver
from async_job.store.protocol import Answer, Beat, Stale, Store
from support.jobs import LEASE, change, claim, error, make_worker, read, run, submit, tell


async def rescue_all(store: Store) -> list[str]:
    """What the rescuer does: reads, decides, applies. The ids that it handed back."""
    jobs = await store.rescuable(100)
    answers = await store.apply([change(job, LeaseLapsed(job.token or ""), store.now()) for job in jobs])
    return sorted(answer.id for answer in answers if not isinstance(answer, Stale))


async def test_a_lost_machines_jobs_run_elsewhere(store: Store, clock: ManualClock) -> None:
    await run(store, "a", "b", worker="lost")
    await store.enroll(make_worker("well"), LEASE)
    clock.advance(5)
    await store.extend(["well"], LEASE)
    clock.advance(10)
    assert await rescue_all(store) == ["a", "b"]
    jobs = await claim(store, 1, "well")
    assert [(job.id, job.attempt, job.crashes, job.suspect) for job in jobs] == [
        ("a", 2, 1, False),
        ("b", 2, 1, False),
    ]


@pytest.mark.parametrize("event", [Succeeded("lost:1", b"1"), Failed("lost:1", error()), Released("lost:1")])
async def test_a_zombie_overwrites_nothing(store: Store, clock: ManualClock, event: Event) -> None:
    (job,) = await run(store, "a", worker="lost")
    clock.advance(LEASE / 1000)
    await rescue_all(store)
    (rescued,) = await store.get(["a"])
    assert await store.apply([change(job, event, clock.now())]) == [Stale(rescued)]
    await store.enroll(make_worker("well"), LEASE)
    (again,) = await claim(store, 1, "well")
    assert await store.apply([change(job, event, clock.now())]) == [Stale(again)]
    ended = await tell(store, again, Succeeded("well:1", b"2"))
    assert await store.apply([change(job, event, clock.now())]) == [Stale(ended)]
    assert (await read(store, "a")).result == b"2"


async def test_a_worker_that_wakes_before_the_rescue_goes_on(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(LEASE)
    seen = await store.rescuable(10)
    assert await store.extend(["w"], LEASE) == [True]
    decided = [change(lapsed, LeaseLapsed("w:1"), clock.now()) for lapsed in seen]
    assert await store.apply(decided) == [Stale(job)]
    assert await store.report([Beat("a", "w:1")]) == [Answer.OK]
    assert (await tell(store, job, Succeeded("w:1", b"1"))).attempt == 1


async def test_a_worker_that_wakes_after_the_rescue_may_claim_again(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(LEASE / 1000)
    await rescue_all(store)
    with pytest.raises(LeaseOver):
        await claim(store, 2)
    assert await store.extend(["w"], LEASE) == [True]
    assert await claim(store, 1) == []
    (again,) = await claim(store, 2)
    assert (again.id, again.token) == ("a", "w:2")
    assert await store.report([Beat("a", "w:1"), Beat("a", "w:2")]) == [Answer.LOST, Answer.OK]
    assert await store.apply([change(job, Succeeded("w:1", b"1"), clock.now())]) == [Stale(again)]


async def test_one_lease_covers_all_claims(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), LEASE)
    for n in range(1, 6):
        await submit(store, f"{n}")
        await claim(store, n)
        clock.advance(1)
    await store.extend(["w"], LEASE)
    clock.advance((LEASE - 1) / 1000)
    assert await store.rescuable(10) == []
    clock.advance(0.001)
    assert await rescue_all(store) == ["1", "2", "3", "4", "5"]


async def test_crashes_end_a_job_in_the_end(store: Store, clock: ManualClock) -> None:
    await submit(store, "a", max_crashes=3)
    for n in range(1, 4):
        await store.enroll(make_worker(f"w{n}"), LEASE)
        assert len(await claim(store, 1, f"w{n}")) == 1
        clock.advance(LEASE / 1000)
        assert await rescue_all(store) == ["a"]
    job = await read(store, "a")
    assert (job.state, job.reason, job.crashes, len(job.attempts)) == (State.FAILED, "crashed", 3, 3)


async def test_a_retired_workers_job_is_told_once_by_whoever_is_first(store: Store) -> None:
    """Its supervisor and a rescuer both hand it back: one of them does."""
    (job,) = await run(store, "a")
    (held,) = await store.retire("w")
    assert await rescue_all(store) == ["a"]
    rescued = await read(store, "a")
    crashed = change(held, Crashed("w:1", "signal 9", alone=True), store.now())
    assert await store.apply([crashed]) == [Stale(rescued)]
    assert (await read(store, "a")).crashes == 1
    assert job.token == "w:1"


async def test_a_clock_set_back_takes_nothing_over(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(-3600)
    assert await store.rescuable(10) == []
    assert await store.extend(["w"], LEASE) == [True]
    assert await claim(store, 2) == []
    assert (await tell(store, job, Succeeded("w:1", b"1"))).state is State.SUCCEEDED
