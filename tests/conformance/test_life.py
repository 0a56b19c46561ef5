"""What a job keeps of its states: enough to tell what has happened since a version."""

from async_job.clock import ManualClock
from async_job.core.job import Progress, State
from async_job.core.life import KEPT, Step, steps_after
from async_job.core.lifecycle import CancelRequested, Failed, Released, RetryRequested, Succeeded
from async_job.store.protocol import Beat, Store
from support.jobs import LEASE, claim, error, make_worker, read, run, submit, tell


async def life(store: Store) -> str:
    return (await read(store, "a")).life


async def test_each_step_is_kept_and_progress_is_none(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a", delay=1_000)
    assert job.life == await life(store) == ""
    await store.enroll(make_worker(), 1000 * LEASE)
    clock.advance(1)
    (job,) = await claim(store, 1)
    assert job.life == await life(store) == "2q3r"
    await store.report([Beat("a", "w:1", Progress(1)), Beat("a", "w:1", Progress(2))])
    job = await tell(store, job, Failed("w:1", error()))
    assert job.life == await life(store) == "2q3r6d"
    clock.advance(400)
    (job,) = await claim(store, 2)
    job = await tell(store, job, Failed("w:2", error(retryable=False)))
    job = await tell(store, job, RetryRequested())
    (job,) = await claim(store, 3)
    job = await tell(store, job, CancelRequested())
    job = await tell(store, job, Succeeded("w:3", b"1"))
    assert job.life == await life(store) == "2q3r6d7q8r9f10q11r12r13s"
    assert steps_after(job.life, 11) == [Step(12, State.RUNNING, again=True), Step(13, State.SUCCEEDED)]


async def test_waiting_jobs_end_too(store: Store) -> None:
    await submit(store, "a")
    await tell(store, await read(store, "a"), CancelRequested())
    await tell(store, await read(store, "a"), RetryRequested())
    assert await life(store) == "2c3q"


async def test_of_a_long_life_the_end_is_kept(store: Store) -> None:
    (job,) = await run(store, "a")
    for n in range(2, 20):
        await tell(store, job, Released(f"w:{n - 1}"))
        (job,) = await claim(store, n)
    assert len(job.life) == KEPT
    assert job == await read(store, "a")
    assert job.life.endswith("36r37q38r")
    assert steps_after(job.life, 36) == [Step(37, State.QUEUED), Step(38, State.RUNNING)]
    assert steps_after(job.life, 2) is None
