"""Two processes that write all the time, and one that writes each 2 ms, on one SQLite file.

`python -m faults.rows.row_22_busy_writers STORE HISTORY` is one of the busy ones.
"""

import asyncio
import os
import signal
import sys
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested
from async_job.ids import new_id
from async_job.store.open import make_store
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.jobs import change, tell

STORES = ("sqlite",)
ALONE = True
WRITES = 2_000
PAUSE = 0.002
TIMES_ALONE = 20
PASSED_BY = 4
"""By so many jobs of one busy process (two writes each) nearly each write may be passed: it waits for one at most."""

Span = tuple[float, float]


async def run(scene: Scene) -> RowResult:
    writes = scene.scale.times(WRITES, short=150)
    async with scene.client() as client:
        alone = await _write(client, writes)
        async with _busy(scene, client):
            beside = await _write(client, writes)
        passed = _passed_by(client, beside)
        await client.store.apply(
            [change(job, CancelRequested(), client.store.now()) for job in await client.jobs() if job and not job.done]
        )
        p99_alone, p99 = _p99(alone), _p99(beside)
        usual = sorted(passed)[int(0.9 * len(passed))]
        scene.demand(usual <= PASSED_BY, f"a tenth of the writes were passed by more than {usual} jobs of one process")
        if scene.scale.full:
            ratio = p99 / p99_alone
            scene.demand(
                ratio <= TIMES_ALONE, f"p99 {p99:.2f} ms is {ratio:.0f} times that of {p99_alone:.2f} ms alone"
            )
        others = len(client.submitted) - 2 * writes
        extra = {
            "p99_alone_ms": p99_alone,
            "p99_ms": p99,
            "busy_jobs": others,
            "passed_by": {"p90": usual, "max": max(passed)},
        }
        return await scene.result(client, may_end=(State.CANCELLED,), extra=extra)


async def _write(client: Client, writes: int) -> list[Span]:
    """One job after the other, with a pause between; when each write began and ended."""
    spans = []
    for _ in range(writes):
        begun = time.monotonic()
        await client.submit(id=new_id())
        spans.append((begun, time.monotonic()))
        await asyncio.sleep(PAUSE)
    return spans


@asynccontextmanager
async def _busy(scene: Scene, client: Client) -> AsyncIterator[None]:
    """The two that write all the time; they end what they have begun."""
    before = len(client.submitted)
    command = [sys.executable, "-m", __name__, scene.url, str(scene.history)]
    writers = [await asyncio.create_subprocess_exec(*command) for _ in range(2)]
    await until(lambda: len({line.pid for line in client.book.lines[before:] if line.what == "ok"}) > 2)
    try:
        yield
    finally:
        for writer in writers:
            writer.terminate()
        codes = [await writer.wait() for writer in writers]
        scene.demand(codes == [0, 0], f"the writers ended with {codes}")


def _passed_by(client: Client, spans: list[Span]) -> list[int]:
    """For each write: the most jobs that one busy process wrote meanwhile."""
    times: dict[int, list[float]] = defaultdict(list)
    for line in client.book.lines:
        if line.what == "ok":
            times[line.pid].append(line.at)
    busy = [of_one for pid, of_one in times.items() if pid != os.getpid()]
    return [max(bisect(one, ended) - bisect(one, begun) for one in busy) for begun, ended in spans]


def _p99(spans: list[Span]) -> float:
    """In milliseconds."""
    ordered = sorted(ended - begun for begun, ended in spans)
    return round(1000 * ordered[int(0.99 * len(ordered))], 2)


async def write_on(url: str, history: Path) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    store = make_store(url)
    await store.open()
    client = Client(store, history)
    while not ended.is_set():
        id = await client.submit(id=new_id())
        [job] = await store.get([id])
        assert job is not None
        await tell(store, job, CancelRequested())
    await store.close()


if __name__ == "__main__":
    asyncio.run(write_on(sys.argv[1], Path(sys.argv[2])))
