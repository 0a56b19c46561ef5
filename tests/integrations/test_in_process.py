"""Jobs in the process of the server: what that costs is said, and a blocked loop costs nothing."""

import time
from pathlib import Path

import pytest
import structlog

from async_job import Context, Jobs
from support.web import serve


async def test_readyz_says_when_jobs_run_in_this_process() -> None:
    jobs = Jobs(store="memory://", lease=7)
    async with serve(jobs, worker=True) as site:

        async def caveats() -> list[str]:
            found: list[str] = (await site.get("/readyz")).json()["caveats"]
            return found

        store = await jobs.store()
        workers = await store.administration.workers()
        while not workers:
            workers = await store.administration.workers()
        [said] = await caveats()
        assert "holds the interpreter for longer than the lease (7 s)" in said


async def test_readyz_has_no_caveat_where_others_run_the_jobs() -> None:
    async with serve(Jobs(store="memory://")) as site:
        assert (await site.get("/readyz")).json()["caveats"] == []


async def test_a_limit_on_memory_that_cannot_be_held_is_told() -> None:
    with structlog.testing.capture_logs() as lines:
        async with serve(Jobs(store="memory://", worker_memory_limit=1 << 30), worker=True):
            pass
    assert [line["event"] for line in lines if "worker_memory_limit does not hold" in line["event"]]


@pytest.mark.realtime
async def test_a_job_that_blocks_the_loop_for_longer_than_its_lease_keeps_it(tmp_path: Path) -> None:
    jobs = Jobs(store=f"sqlite:///{tmp_path / 'jobs.db'}", lease=1)
    runs: list[int] = []

    @jobs.job
    async def block(context: Context) -> int:
        runs.append(context.attempt)
        time.sleep(3)  # noqa: ASYNC251 - this is the point
        return context.attempt

    async with serve(jobs, worker=True):
        handle = await block.submit()
        assert await handle.result() == 1
    assert runs == [1]
