"""`retire`: bars a worker's id and tells what it held."""

import pytest

from async_job.core.job import State
from async_job.core.lifecycle import Crashed, Succeeded
from async_job.errors import NotEnrolled
from async_job.store.protocol import Answer, Beat, Store
from support.jobs import LEASE, claim, make_worker, read, run, submit, tell


async def test_it_tells_what_the_worker_held(store: Store) -> None:
    jobs = await run(store, "a", "b", "c")
    await tell(store, jobs[1], Succeeded("w:1", b"1"))
    held = await store.retire("w")
    assert sorted(held, key=lambda job: job.id) == [jobs[0], jobs[2]]


async def test_its_jobs_run_until_somebody_decides(store: Store) -> None:
    (job,) = await run(store, "a")
    await store.retire("w")
    assert await read(store, "a") == job
    queued = await tell(store, job, Crashed("w:1", "signal 9", alone=True))
    assert (queued.state, queued.crashes) == (State.QUEUED, 1)
    await store.enroll(make_worker("v"), LEASE)
    assert [(job.id, job.attempt) for job in await claim(store, 1, "v")] == [("a", 2)]


async def test_again_it_tells_the_same(store: Store) -> None:
    (job,) = await run(store, "a")
    assert await store.retire("w") == [job]
    assert await store.retire("w") == [job]


async def test_its_claims_are_refused_also_repeated_ones(store: Store) -> None:
    await run(store, "a")
    await submit(store, "b")
    await store.retire("w")
    for n in (1, 2):
        with pytest.raises(NotEnrolled):
            await claim(store, n)
    assert (await read(store, "b")).state is State.QUEUED


async def test_its_runs_keep_their_tokens(store: Store) -> None:
    """What retires a worker alone voids nothing: a run that ended just before may still tell it."""
    jobs = await run(store, "a", "b")
    await store.retire("w")
    assert await store.report([Beat("a", "w:1")]) == [Answer.OK]
    assert (await tell(store, jobs[1], Succeeded("w:1", b"1"))).state is State.SUCCEEDED
    assert await store.retire("w") == [jobs[0]]


async def test_an_unknown_worker_holds_nothing(store: Store) -> None:
    assert await store.retire("w") == []
    await store.enroll(make_worker(), LEASE)
    assert await claim(store) == []


async def test_only_the_named_one(store: Store) -> None:
    await run(store, "a", worker="w")
    (job,) = await run(store, "b", worker="w2")
    await store.retire("w")
    assert await store.rescuable(10) != []
    assert await store.retire("w2") == [job]


async def test_more_than_a_batch(store: Store) -> None:
    ids = [f"{n:03}" for n in range(400)]
    await submit(store, *ids)
    await store.enroll(make_worker(), LEASE)
    held = []
    for n in (1, 2, 3, 4):
        held += await claim(store, n, limit=100)
    retired = await store.retire("w")
    assert sorted(retired, key=lambda job: job.id) == held
