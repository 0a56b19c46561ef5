"""For callers without an event loop: threads, forks, scripts that simply end."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from async_job import JobFunction, Jobs, UsageError, WaitTimeout
from async_job.blocking import Blocking
from async_job.core.lifecycle import Succeeded, decide
from async_job.store.protocol import ClaimId, Worker
from support.servers import Server


@pytest.fixture
def jobs(store_url: str) -> Iterator[Jobs]:
    threads = set(threading.enumerate())
    made = Jobs(store=store_url)
    yield made
    made.blocking.close()
    # A store's threads are told to end, and end a moment later.
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} is left"


@pytest.fixture
def double(jobs: Jobs) -> JobFunction[[int], int, Any]:
    @jobs.job
    def double(n: int) -> int:
        return 2 * n

    return double


async def run_all(jobs: Jobs, count: int) -> None:
    """A worker for as many jobs: each has twice its number."""
    store = await jobs.store()
    await store.enroll(Worker(id="w", host="h", pid=1, started_at=1, queues=("default",), concurrency=1), 60_000)
    done = n = 0
    while done < count:
        n += 1
        for job in (await store.claim(ClaimId("w", n), ["default"], 100)).jobs:
            assert job.token is not None
            number = int(job.input.removeprefix(b'{"n":').removesuffix(b"}"))
            change = decide(job, Succeeded(job.token, b"%d" % (2 * number)), store.now())
            assert change is not None
            await store.apply([change])
            done += 1
        await store.wait(["default"], 0.05)
    await jobs.close()


def test_two_threads_submit_and_wait_at_once(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    if jobs.settings.store == "memory://":
        # Made in this thread, and shared with the worker's loop.
        double.submit_sync(0).cancel_sync()
    ready = threading.Barrier(2)

    def use(numbers: range) -> list[int]:
        ready.wait()
        handles = [double.submit_sync(n) for n in numbers]
        return [handle.result_sync(timeout=30) for handle in handles]

    worker = threading.Thread(target=lambda: asyncio.run(run_all(jobs, 40)))
    worker.start()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(use, [range(20), range(20, 40)])
    worker.join()
    assert first + second == [2 * n for n in range(40)]


def test_every_question_has_a_form_without_a_loop(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = double.submit_sync(1)
    assert handle.status_sync() == "PENDING"
    assert handle.job_sync().id == handle.id
    with pytest.raises(WaitTimeout):
        handle.wait_sync(timeout=0)
    with pytest.raises(WaitTimeout):
        handle.result_sync(timeout=0)
    assert handle.cancel_sync().state == "cancelled"


async def test_inside_a_loop_it_is_refused(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    with pytest.raises(UsageError, match="await the call without _sync"):
        double.submit_sync(1)


async def test_in_a_thread_beside_a_loop_it_works(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await asyncio.to_thread(double.submit_sync, 1)
    assert await asyncio.to_thread(handle.status_sync) == "PENDING"
    await asyncio.to_thread(jobs.blocking.close)


def test_after_closing_it_can_be_used_again(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    double.submit_sync(1)
    jobs.blocking.close()
    jobs.blocking.close()
    assert double.submit_sync(1).created


def test_closing_closes_what_the_loop_has_opened(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0

    double.submit_sync(1)
    jobs.blocking.close()
    before = files()
    for _ in range(5):
        double.submit_sync(1)
        jobs.blocking.close()
    assert files() == before


def test_what_the_function_raises_is_raised() -> None:
    async def nothing() -> None: ...

    async def fail() -> None:
        raise KeyError("no luck")

    blocking = Blocking(nothing)
    with pytest.raises(KeyError, match="no luck"):
        blocking.call(fail)
    blocking.close()


def run_script(tmp_path: Path, store_url: str, script: str) -> str:
    """The output of a program of its own; it fails unless the program ends well and soon."""
    head = """
        import os, sys, threading
        from async_job import Jobs

        jobs = Jobs(store=sys.argv[1])

        @jobs.job
        def double(n: int) -> int:
            return 2 * n
    """
    program = textwrap.dedent(head) + textwrap.dedent(script)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, store_url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_program_ends_without_closing_anything(tmp_path: Path, store_url: str) -> None:
    assert run_script(tmp_path, store_url, "print(double.submit_sync(1).status_sync())") == "PENDING\n"


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_after_a_fork_both_go_on(request: pytest.FixtureRequest, tmp_path: Path, store: str, end: str) -> None:
    script = f"""
        async def count():
            store = await jobs.store()
            assert await store.check() == []
            return (await store.counts()).states["queued"]

        before = double.submit_sync(1)
        pid = os.fork()
        if pid == 0:
            print("child", double.submit_sync(2).status_sync(), before.status_sync(), flush=True)
            {end}
        _, status = os.waitpid(pid, 0)
        print("parent", os.waitstatus_to_exitcode(status), double.submit_sync(3).status_sync(), before.status_sync())
        print(jobs.blocking.call(count))
    """
    url = f"sqlite:///{tmp_path}/jobs.db"
    if store == "redis":
        server: Server = request.getfixturevalue("redis_server")
        server.flush()
        url = server.url
    child, parent, count = run_script(tmp_path, url, script).splitlines()
    assert child == "child PENDING PENDING"
    assert parent == "parent 0 PENDING PENDING"
    assert count == "3"


@pytest.mark.store("memory")
def test_a_memory_is_not_carried_over_a_fork(tmp_path: Path) -> None:
    """What the child put into its copy would be lost."""
    script = """
        from async_job.errors import ForkError

        double.submit_sync(1)
        pid = os.fork()
        if pid == 0:
            try:
                double.submit_sync(2)
            except ForkError as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(double.submit_sync(3).status_sync())
    """
    said, status = run_script(tmp_path, "memory://", script).splitlines()
    assert "memory://" in said
    assert "sqlite:///" in said
    assert status == "PENDING"
