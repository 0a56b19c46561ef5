"""`counts`: how many jobs are where."""

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, Failed, Overdue, Succeeded
from async_job.store.protocol import Counts, Store
from support.jobs import error, run, submit, tell


def nonzero(counts: Counts) -> tuple[dict[State, int], dict[str, int]]:
    assert set(counts.states) == set(State)
    states = {state: n for state, n in counts.states.items() if n}
    return states, {queue: n for queue, n in counts.queued.items() if n}


async def test_an_empty_store(store: Store) -> None:
    assert nonzero(await store.counts()) == ({}, {})


async def test_one_of_each(store: Store, clock: ManualClock) -> None:
    a, b, *_ = await run(store, "a", "b", "c")
    await tell(store, a, Succeeded("w:1", b"1"))
    await tell(store, b, Failed("w:1", error(retryable=False)))
    await submit(store, "d", "e", queue="one")
    await submit(store, "f", queue="two:ä")
    await submit(store, "g", delay=1)
    for job in await submit(store, "h", "i"):
        await tell(store, job, CancelRequested())
    for job in await submit(store, "j", "k", "l", start_by=clock.now()):
        await tell(store, job, Overdue())
    assert nonzero(await store.counts()) == (
        {
            State.SUCCEEDED: 1,
            State.FAILED: 1,
            State.RUNNING: 1,
            State.QUEUED: 3,
            State.SCHEDULED: 1,
            State.CANCELLED: 2,
            State.EXPIRED: 3,
        },
        {"one": 2, "two:ä": 1},
    )


async def test_purged_jobs_no_longer_count(store: Store, clock: ManualClock) -> None:
    for job in await submit(store, "h", "i"):
        await tell(store, job, CancelRequested())
    clock.advance(24 * 3600)
    await store.purge(1)
    assert nonzero(await store.counts()) == ({State.CANCELLED: 1}, {})
    await store.purge(1)
    assert nonzero(await store.counts()) == ({}, {})
