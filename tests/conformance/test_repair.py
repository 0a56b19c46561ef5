"""`repair`: what `check` finds is mended from the jobs themselves, and no job is lost."""

import asyncio

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Job, State
from async_job.core.lifecycle import LeaseLapsed, Succeeded
from async_job.store.protocol import Store
from support.damage import DAMAGES, forget_workers
from support.jobs import LEASE, claim, end, make_worker, read, run, submit, tell

IDS = ("running", "ended", "keyed", "queued", "scheduled")


async def some_of_each(store: Store) -> list[Job]:
    await run(store, "running")
    await end(store, "ended")
    await submit(store, "keyed", unique_key="k", start_by=store.now() + 1_000)
    await submit(store, "queued")
    await submit(store, "scheduled", delay=1_000)
    return [await read(store, id) for id in IDS]


async def test_a_sound_store_stays_as_it_is(store: Store) -> None:
    before = await some_of_each(store)
    counts = await store.counts()
    await store.repair()
    assert [await read(store, id) for id in IDS] == before
    assert await store.counts() == counts
    assert [job.id for job in await claim(store, 2, limit=9)] == ["keyed", "queued"]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_found_and_mended(store: Store, damage: str) -> None:
    before = await some_of_each(store)
    await DAMAGES[damage](store)
    assert await store.check()
    await store.repair()
    assert await store.check() == []
    after = [await read(store, id) for id in IDS]
    assert [(job.id, job.state, job.version) for job in after] == [(job.id, job.state, job.version) for job in before]
    assert [job.id for job in after if job.unique_key] == ["keyed"]
    assert (await store.counts()).queued == {"default": 2}


async def test_what_ran_under_a_worker_that_was_forgotten_is_taken_over(store: Store, clock: ManualClock) -> None:
    await run(store, "a")
    await forget_workers(store)
    await store.repair()
    [job] = await store.rescuable(10)
    after = await tell(store, job, LeaseLapsed(job.token or ""))
    assert (after.id, after.state, after.reason) == ("a", State.QUEUED, "lease_lapsed")


async def test_jobs_come_and_go_beside_it(store: Store) -> None:
    await some_of_each(store)

    async def live(number: int) -> None:
        [job] = await submit(store, f"{number}", queue=f"q{number}", unique_key=f"{number}")
        await store.enroll(make_worker(f"v{number}"), LEASE)
        [claimed] = await claim(store, 1, f"v{number}", (job.queue,))
        await tell(store, claimed, Succeeded(claimed.token or "", b"1"))

    async def repair() -> None:
        for _ in range(5):
            await store.repair()

    await asyncio.gather(repair(), *(live(number) for number in range(40)))
    assert {(await read(store, f"{number}")).state for number in range(40)} == {State.SUCCEEDED}
