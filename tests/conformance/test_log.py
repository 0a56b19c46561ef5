"""`log`: a job's own log."""

import pytest

from async_job.clock import ManualClock
from async_job.core.job import LogLine
from async_job.core.lifecycle import Released, Succeeded
from async_job.store.codec import LOG_LINES_KEPT
from async_job.store.protocol import Beat, Store
from support.jobs import claim, read, run, submit, tell

LINES = [LogLine(n, f"line {n}") for n in range(5)]


@pytest.mark.parametrize("after", [0, 1, 4, 5, 6, 10_000])
async def test_without_the_first_lines(store: Store, after: int) -> None:
    await run(store, "a")
    await store.report([Beat("a", "w:1", log=tuple(LINES))])
    assert await store.log("a", after) == LINES[after:]


async def test_of_a_job_that_has_none_or_is_unknown(store: Store) -> None:
    await submit(store, "a")
    assert await store.log("a") == []
    assert await store.log("nobody") == []


@pytest.mark.parametrize("text", ["", "\x00", "a\nb\r\n", "☃ 𝄞", "x" * 200_000, '{"json":1}', "\x1b[31m"])
async def test_lines_of_any_shape(store: Store, text: str) -> None:
    await run(store, "a")
    await store.report([Beat("a", "w:1", log=(LogLine(1, text), LogLine(2, text)))])
    assert await store.log("a") == [LogLine(1, text), LogLine(2, text)]


async def test_the_newest_lines_are_kept(store: Store) -> None:
    await run(store, "a", "b")
    lines = [LogLine(n, str(n)) for n in range(LOG_LINES_KEPT + 10)]
    await store.report([Beat("b", "w:1", log=(LINES[0],))])
    for start in range(0, len(lines), 100):
        await store.report([Beat("a", "w:1", log=tuple(lines[start : start + 100]))])
    assert await store.log("a") == lines[10:]
    assert await store.log("a", 5) == lines[10:]
    assert await store.log("a", 1_000) == lines[1_000:]
    assert (await read(store, "a")).logged == LOG_LINES_KEPT + 10
    assert await store.log("b") == [LINES[0]]


async def test_more_at_once_than_are_kept(store: Store) -> None:
    await run(store, "a")
    lines = [LogLine(n, str(n)) for n in range(LOG_LINES_KEPT + 500)]
    await store.report([Beat("a", "w:1", log=tuple(lines))])
    assert await store.log("a") == lines[500:]
    # What was never taken does not count.
    assert (await read(store, "a")).logged == LOG_LINES_KEPT


async def test_all_runs_write_into_one_log(store: Store) -> None:
    (job,) = await run(store, "a")
    await store.report([Beat("a", "w:1", log=(LINES[0],))])
    await tell(store, job, Released("w:1", log=(LINES[1],)))
    await claim(store, 2)
    await store.report([Beat("a", "w:2", log=(LINES[2],))])
    assert await store.log("a") == LINES[:3]


async def test_it_goes_with_the_job(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    await store.report([Beat("a", "w:1", log=(LINES[0],))])
    await tell(store, job, Succeeded("w:1", b"1"))
    clock.advance(24 * 3600)
    assert await store.purge(10) == 1
    await submit(store, "a")
    assert await store.log("a") == []
