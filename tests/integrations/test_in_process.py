"""Jobs in the process of the server: what that costs is said, and a blocked loop costs nothing."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
import structlog

from async_job import Context, Jobs
from async_job.core.job import State
from async_job.errors import StoreFull
from async_job.store.protocol import Worker
from async_job.worker import embedded
from async_job.worker.renewer import Renewer
from support.until import until
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


async def test_functions_whose_queue_nobody_here_serves_are_told() -> None:
    jobs = Jobs(store="memory://", queues=("mail", "media"))

    @jobs.job(queue="mail")
    def send() -> None: ...

    @jobs.job(queue="reports")
    def report() -> None: ...

    with structlog.testing.capture_logs() as lines:
        async with serve(jobs, worker=True):
            pass
    [line] = [line for line in lines if "not served here" in line["event"]]
    assert (line["functions"], line["served"]) == ({"report": "reports"}, ["mail", "media"])


async def test_jobs_for_processes_that_run_in_threads_are_told() -> None:
    jobs = Jobs(store="memory://")

    @jobs.job(runner="process")
    def heavy() -> None: ...

    with structlog.testing.capture_logs() as lines:
        async with serve(jobs, worker=True):
            pass
    [line] = [line for line in lines if "run in threads" in line["event"]]
    assert line["types"] == ["heavy"]


async def test_a_thread_that_heeds_the_shutdown_runs_again(tmp_path: Path) -> None:
    jobs = Jobs(store=f"sqlite:///{tmp_path / 'jobs.db'}", grace=0.01)
    began = threading.Event()

    @jobs.job
    def rounds(context: Context) -> str:
        began.set()
        while not context.cancelled:
            time.sleep(0.002)
        return "half of it"

    async with serve(jobs, worker=True):
        handle = await rounds.submit()
        assert await asyncio.to_thread(began.wait, 20)
    job = await handle.job()
    await jobs.close()
    assert (job.state, job.reason, job.result) == (State.QUEUED, "shutdown", None)


@pytest.mark.parametrize(("looks", "state"), [(True, State.CANCELLED), (False, State.SUCCEEDED)])
async def test_a_thread_that_saw_the_cancel_is_cancelled_and_one_that_did_not_look_has_done_its_work(
    looks: bool, state: State
) -> None:
    jobs = Jobs(store="memory://")
    began, go_on = threading.Event(), threading.Event()

    @jobs.job
    def rounds(context: Context) -> str:
        began.set()
        while looks and not context.cancelled:
            time.sleep(0.002)
        go_on.wait(20)
        return "done"

    async with serve(jobs, worker=True):
        handle = await rounds.submit()
        assert await asyncio.to_thread(began.wait, 20)
        await handle.cancel()
        go_on.set()
        assert (await handle.wait(20)).state is state


async def test_a_store_that_refuses_the_worker_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(store="memory://")
    enroll, refusals = Renewer.enroll, [StoreFull("no room"), RuntimeError("no idea")]
    monkeypatch.setattr(embedded, "PAUSES", (0.01,))

    async def refuse_first(self: Renewer, worker: Worker) -> None:
        if refusals:
            raise refusals.pop(0)
        await enroll(self, worker)

    monkeypatch.setattr(Renewer, "enroll", refuse_first)

    @jobs.job
    async def three() -> int:
        return 3

    with structlog.testing.capture_logs() as lines:
        async with serve(jobs, worker=True):
            assert await (await three.submit()).result(20) == 3
    events = [line["event"] for line in lines]
    assert "the store cannot be worked with, trying again" in events
    assert "the worker has died, starting anew" in events


async def test_a_thread_that_does_not_end_in_time_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.worker.active.KILL_AFTER", 0.01)
    jobs = Jobs(store="memory://", grace=0.01)
    go_on = threading.Event()

    @jobs.job(timeout=0.01)
    def deaf() -> None:
        go_on.wait(20)

    with structlog.testing.capture_logs() as lines:
        async with serve(jobs, worker=True):
            handle = await deaf.submit()
            await until(lambda: any("does not end after its timeout" in line["event"] for line in lines))
            go_on.set()
            await handle.wait(20)
    [line] = [line for line in lines if "does not end after its timeout" in line["event"]]
    assert line["job"] == handle.id


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
