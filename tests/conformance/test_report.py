"""`report`: progress and log lines of runs that still hold their jobs."""

import asyncio

import pytest
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.job import LogLine, Progress
from async_job.core.lifecycle import CancelRequested, LeaseLapsed, Released, Succeeded
from async_job.store.protocol import Answer, Beat, Store
from support.jobs import LEASE, claim, cursor, entries, make_worker, read, run, submit, tell

HALF = Progress(1, 2, "ä\x00\n")


async def test_progress_is_kept_and_raises_the_version_only(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(1)
    start = await cursor(store)
    assert await store.report([Beat("a", "w:1", HALF)]) == [Answer.OK]
    assert await read(store, "a") == replace(job, progress=HALF, version=job.version + 1)
    assert await entries(store, start) == []


@pytest.mark.parametrize(
    "progress", [Progress(0), Progress(3.5), Progress(1, 0), Progress(1, 3, ""), Progress(-1, 1e300)]
)
async def test_progress_of_any_shape(store: Store, progress: Progress) -> None:
    await run(store, "a")
    await store.report([Beat("a", "w:1", progress)])
    assert (await read(store, "a")).progress == progress


async def test_the_latest_progress_stays(store: Store) -> None:
    await run(store, "a")
    await store.report([Beat("a", "w:1", Progress(1)), Beat("a", "w:1", Progress(2))])
    await store.report([Beat("a", "w:1")])
    assert (await read(store, "a")).progress == Progress(2)


async def test_a_beat_with_nothing_to_tell_writes_nothing(store: Store) -> None:
    (job,) = await run(store, "a")
    assert await store.report([Beat("a", "w:1")]) == [Answer.OK]
    assert await read(store, "a") == job


async def test_log_lines_are_added(store: Store) -> None:
    (job,) = await run(store, "a")
    lines = [LogLine(n, f"line {n} ä\x00\n") for n in range(3)]
    await store.report([Beat("a", "w:1", log=(lines[0], lines[1]))])
    await store.report([Beat("a", "w:1", log=(lines[2],))])
    assert await store.log("a") == lines
    assert await read(store, "a") == replace(job, logged=3)


async def test_what_a_run_says_counts_when_its_outcome_goes_in_the_same_trip(store: Store) -> None:
    (job,) = await run(store, "a")
    said = store.report([Beat("a", "w:1", log=(LogLine(1, "last words"),))])
    [answer], _ = await asyncio.gather(said, tell(store, job, Succeeded("w:1", b"1")))
    assert answer is Answer.OK
    assert await store.log("a") == [LogLine(1, "last words")]


async def test_a_cancel_is_heard_and_the_beat_still_counts(store: Store) -> None:
    (job,) = await run(store, "a")
    await tell(store, job, CancelRequested())
    assert await store.report([Beat("a", "w:1", HALF, (LogLine(1, "x"),))]) == [Answer.CANCEL]
    assert (await read(store, "a")).progress == HALF
    assert await store.log("a") == [LogLine(1, "x")]


async def test_an_answer_for_each_in_order(store: Store) -> None:
    a, *_ = await run(store, "a", "b")
    await tell(store, a, CancelRequested())
    beats = [Beat("b", "w:1"), Beat("nobody", "w:1"), Beat("a", "w:1"), Beat("b", "w:2"), Beat("b", "w:1")]
    assert await store.report(beats) == [Answer.OK, Answer.LOST, Answer.CANCEL, Answer.LOST, Answer.OK]
    assert await store.report([]) == []


@pytest.mark.parametrize("token", ["w:2", "v:1", "", "w:1 ", "W:1"])
async def test_another_token_is_lost_and_writes_nothing(store: Store, token: str) -> None:
    (job,) = await run(store, "a")
    assert await store.report([Beat("a", token, HALF, (LogLine(1, "x"),))]) == [Answer.LOST]
    assert await read(store, "a") == job
    assert await store.log("a") == []


async def test_an_ended_run_is_lost_though_the_job_bears_its_token(store: Store) -> None:
    a, b = await run(store, "a", "b")
    ended = await tell(store, a, Succeeded("w:1", b"1"))
    back = await tell(store, b, Released("w:1"))
    assert (ended.token, back.token) == ("w:1", "w:1")
    assert await store.report([Beat("a", "w:1", HALF), Beat("b", "w:1", HALF)]) == [Answer.LOST] * 2
    assert await store.get(["a", "b"]) == [ended, back]


async def test_a_job_that_never_ran_is_lost(store: Store) -> None:
    (job,) = await submit(store, "a")
    assert await store.report([Beat("a", "", HALF)]) == [Answer.LOST]
    assert await read(store, "a") == job


async def test_a_job_claimed_anew_is_lost_to_the_run_before(store: Store) -> None:
    (job,) = await run(store, "a")
    await tell(store, job, Released("w:1"))
    await claim(store, 2)
    assert await store.report([Beat("a", "w:1"), Beat("a", "w:2")]) == [Answer.LOST, Answer.OK]


async def test_a_lapsed_lease_loses_nothing_until_a_rescue(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(LEASE)
    assert await store.report([Beat("a", "w:1")]) == [Answer.OK]
    await tell(store, job, LeaseLapsed("w:1"))
    assert await store.report([Beat("a", "w:1")]) == [Answer.LOST]


async def test_more_than_a_batch(store: Store) -> None:
    await store.enroll(make_worker(), LEASE)
    ids = [f"{n:03}" for n in range(400)]
    await submit(store, *ids)
    jobs = await claim(store, 1, limit=200) + await claim(store, 2, limit=200)
    assert await store.report([Beat(job.id, job.token or "", HALF) for job in jobs]) == [Answer.OK] * 400
    assert all(job and job.progress == HALF for job in await store.get(ids))
