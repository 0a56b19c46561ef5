"""`log`: a job's own log."""

from random import Random

import pytest

from async_job.clock import ManualClock
from async_job.core.job import LogLine
from async_job.core.lifecycle import Released, Succeeded
from async_job.store.codec import USUAL_LIMITS, log_bytes
from async_job.store.protocol import Beat, Store
from support.jobs import claim, read, run, submit, tell

LOG_LINES_KEPT, LOG_BYTES_KEPT = USUAL_LIMITS.lines, USUAL_LIMITS.bytes
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


@pytest.mark.parametrize("text", ["", "\x00", "a\nb\r\n", "☃ 𝄞", "x" * 100_000, '{"json":1}', "\x1b[31m"])
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
    assert await store.log("a", 600) == lines[600:]
    assert (await read(store, "a")).logged == LOG_LINES_KEPT + 500


ROOM = LOG_BYTES_KEPT // 8


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["a" * ROOM] * 8, 8),
        (["a" * ROOM] * 9, 8),
        (["a" * ROOM] * 8 + ["b"], 8),
        (["☃" * (ROOM // 3)] * 10, 8),
        (["𝄞" * (ROOM // 4)] * 8 + ["é"], 8),
        (["\n" * ROOM] * 8, 8),
        (["a", "b" * LOG_BYTES_KEPT], 1),
        (["a", "b" * (LOG_BYTES_KEPT + 1)], 0),
        (["a", "b" * (LOG_BYTES_KEPT + 1), "", "c"], 2),
        (["a"] * 900 + ["b" * LOG_BYTES_KEPT] + [""] * 10, 11),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "in turn"])
async def test_no_more_bytes_are_kept_than_that(store: Store, texts: list[str], kept: int, at_once: bool) -> None:
    await run(store, "a")
    lines = tuple(LogLine(n, text) for n, text in enumerate(texts))
    writes = [lines] if at_once else [lines[:-2], lines[-2:-1], lines[-1:]]
    for log in writes:
        await store.report([Beat("a", "w:1", log=log)])
    newest = list(lines[len(lines) - kept :])
    assert await store.log("a") == newest
    # Numbers go on behind lines that are gone, also when none is left.
    assert (await read(store, "a")).logged == len(lines)
    await store.report([Beat("a", "w:1", log=(LogLine(0, ""),))])
    assert await store.log("a", len(lines)) == [LogLine(0, "")]


async def test_whatever_is_written_the_newest_that_fit_are_kept(store: Store) -> None:
    (job,) = await run(store, "a")
    random, written = Random(1), []
    for n in range(1, 61):
        size = random.choice([0, 10, 1_000, 40_000, LOG_BYTES_KEPT // 3])
        count = random.choice([1, 3, 400]) if size <= 1_000 else random.choice([1, 5])
        log = tuple(LogLine(n, random.choice("aé☃𝄞") * random.randint(0, size)) for _ in range(count))
        written += log
        if n % 10:
            await store.report([Beat("a", job.token or "", log=log)])
        else:
            await tell(store, job, Released(job.token or "", log=log))
            (job,) = await claim(store, n)
        kept, left = 0, LOG_BYTES_KEPT
        for line in reversed(written[-LOG_LINES_KEPT:]):
            left -= log_bytes(line)
            if left < 0:
                break
            kept += 1
        assert await store.log("a") == written[len(written) - kept :]
    assert (await read(store, "a")).logged == len(written)


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
