"""`delete`: removes ended jobs, and no others."""

from async_job.clock import ManualClock
from async_job.core.job import LogLine, State
from async_job.core.lifecycle import CancelRequested, Failed, RetryRequested, Succeeded
from async_job.store.protocol import Index, Stale, Store, Submitted
from support.jobs import (
    HOUR,
    LEASE,
    change,
    claim,
    cursor,
    end,
    entries,
    error,
    make_job,
    make_worker,
    read,
    run,
    submit,
    tell,
)


async def test_an_ended_job_is_gone(store: Store) -> None:
    done, failed = await run(store, "a", "b", labels={"x": "y"})
    await tell(store, done, Succeeded("w:1", b"1", log=(LogLine(1, "x"),)))
    await tell(store, failed, Failed("w:1", error(retryable=False)))
    await end(store, "c")
    assert await store.delete(["a", "b", "c"]) == [None] * 3
    assert await store.get(["a", "b", "c"]) == [None] * 3
    assert await store.log("a") == []
    assert set((await store.counts()).states.values()) == {0}
    for state in State:
        assert await store.scan(Index(state), None, 10) == []


async def test_a_live_job_stays_and_is_the_answer(store: Store) -> None:
    (running,) = await run(store, "a")
    (queued,) = await submit(store, "b", unique_key="k")
    (scheduled,) = await submit(store, "c", delay=1_000)
    assert await store.delete(["c", "a", "b"]) == [scheduled, running, queued]
    assert await store.get(["a", "b", "c"]) == [running, queued, scheduled]


async def test_each_on_its_own_in_order(store: Store) -> None:
    (live,) = await submit(store, "live")
    await end(store, "a", "b")
    assert await store.delete(["a", "nobody", "live", "a", "b", "", "a\x00"]) == [None, None, live, *[None] * 4]
    assert await store.get(["a", "live", "b"]) == [None, live, None]
    assert await store.delete([]) == []


async def test_again_it_is_the_same(store: Store) -> None:
    await end(store, "a")
    assert await store.delete(["a"]) == [None]
    assert await store.delete(["a"]) == [None]


async def test_also_what_is_kept_for_ever(store: Store, clock: ManualClock) -> None:
    await end(store, "a", "b")
    assert await store.delete(["a"]) == [None]
    clock.advance(400 * 24 * 3600)
    assert await store.purge(10) == 1


async def test_the_change_log_does_not_tell(store: Store) -> None:
    await end(store, "a")
    start = await cursor(store)
    await store.delete(["a"])
    assert await entries(store, start) == []


async def test_its_id_may_be_used_anew(store: Store) -> None:
    (job,) = await run(store, "a", unique_key="k", start_by=store.now() + HOUR)
    await tell(store, job, Succeeded("w:1", b"1", log=(LogLine(1, "x"),)))
    await store.delete(["a"])
    (anew,) = await submit(store, "a", unique_key="k")
    assert await read(store, "a") == anew
    assert await store.log("a") == []


async def test_a_live_job_with_its_unique_key_keeps_it(store: Store) -> None:
    await end(store, "a", unique_key="k")
    await submit(store, "b", unique_key="k")
    await store.delete(["a"])
    assert await store.submit([make_job(store.now(), "c", unique_key="k")]) == [Submitted("b", created=False)]


async def test_what_is_told_of_it_afterwards_is_stale(store: Store) -> None:
    (job,) = await run(store, "a")
    decided = change(job, Succeeded("w:1", b"1"), store.now())
    (ended,) = await store.apply([decided])
    assert not isinstance(ended, Stale)
    await store.delete(["a"])
    assert await store.apply([decided]) == [Stale(None)]
    (cancelled,) = await end(store, "b")
    retry = change(cancelled, RetryRequested(), store.now())
    await store.delete(["b"])
    assert await store.apply([retry]) == [Stale(None)]
    assert await store.get(["a", "b"]) == [None, None]


async def test_what_was_retried_stays(store: Store) -> None:
    (cancelled,) = await end(store, "a")
    retried = await tell(store, cancelled, RetryRequested())
    assert await store.delete(["a"]) == [retried]


async def test_the_worker_and_its_other_jobs_stay(store: Store) -> None:
    a, b = await run(store, "a", "b")
    await tell(store, a, CancelRequested())
    await tell(store, await read(store, "a"), Succeeded("w:1", b"1"))
    await store.delete(["a"])
    assert await claim(store, 1) == [b]


async def test_more_than_a_batch(store: Store) -> None:
    jobs = await submit(store, *(f"{n:03}" for n in range(600)))
    await store.apply([change(job, CancelRequested(), store.now()) for job in jobs[:500]])
    await store.enroll(make_worker(), LEASE)
    assert await store.delete([job.id for job in jobs]) == [*[None] * 500, *jobs[500:]]
    assert (await store.counts()).states[State.QUEUED] == 100
