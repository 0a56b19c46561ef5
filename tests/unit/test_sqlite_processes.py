"""Several processes on one SQLite file: real ones, started, forked and killed."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from async_job.core.job import State
from async_job.store.sqlite.store import SqliteStore
from async_job.store.sqlite.turnstile import Turnstile

TESTS = Path(__file__).parents[1]

PRELUDE = f"""
import asyncio, os, signal, sys
sys.path.insert(0, {str(TESTS)!r})
from async_job.core.lifecycle import Succeeded
from async_job.store.sqlite.store import SqliteStore
from async_job.store.sqlite.turnstile import Turnstile
from support.jobs import change, claim, make_job, make_worker
path, name = sys.argv[1:3]
"""

Start = Callable[[Path, str, str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs a program on a file, in a process of its own: `start(path, name, program)`."""
    started: list[subprocess.Popen[str]] = []

    def run(path: Path, name: str, program: str) -> "subprocess.Popen[str]":
        code = PRELUDE + textwrap.dedent(program)
        # A fork of a process with threads is warned of, and is what is tested here.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(path), name]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


WORK = """
async def main():
    store = SqliteStore(path)
    await store.open()
    await asyncio.gather(*(store.submit([make_job(store.now(), f"{name}-{n}")]) for n in range(200)))
    await store.enroll(make_worker(name), 60_000)
    n = 0
    while sum((await store.counts()).states.values()) < 400 or (await store.counts()).states["queued"]:
        n += 1
        jobs = await claim(store, n, name, limit=7)
        for job in jobs:
            print(job.id)
        await store.apply([change(job, Succeeded(job.token, b"1"), store.now()) for job in jobs])
    await store.close()
asyncio.run(main())
"""


@pytest.mark.realtime
async def test_two_processes_lose_nothing_and_claim_nothing_twice(tmp_path: Path, start: Start) -> None:
    processes = [start(tmp_path / "jobs.db", name, WORK) for name in ("a", "b")]
    printed = [await asyncio.to_thread(process.communicate, timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    claimed = Counter(id for out, _ in printed for id in out.split())
    assert claimed == Counter(f"{name}-{n}" for name in "ab" for n in range(200))
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    assert (await store.counts()).states[State.SUCCEEDED] == 400
    assert await store.check() == []
    await store.close()


WRITE_FOR_EVER = """
async def main():
    store = SqliteStore(path)
    await store.open()
    await store.enroll(make_worker(name), 60_000)
    n = 0
    while True:
        n += 1
        ids = [f"{name}-{n}-{m}" for m in range(10)]
        await store.submit([make_job(store.now(), id) for id in ids])
        print("submitted", *ids, flush=True)
        jobs = await claim(store, n, name, limit=5)
        await store.apply([change(job, Succeeded(job.token, b"1"), store.now()) for job in jobs])
        print("succeeded", *(job.id for job in jobs), flush=True)
asyncio.run(main())
"""


@pytest.mark.realtime
async def test_a_process_killed_while_it_writes_loses_nothing_that_was_answered(tmp_path: Path, start: Start) -> None:
    said: dict[str, set[str]] = {"submitted": set(), "succeeded": set()}
    for round in range(3):
        process = start(tmp_path / "jobs.db", f"round-{round}", WRITE_FOR_EVER)
        assert process.stdout is not None
        for _ in range(40 + 7 * round):
            word, *ids = (await asyncio.to_thread(process.stdout.readline)).split()
            said[word].update(ids)
        process.kill()
        for line in process.stdout.read().splitlines(keepends=True):
            word, *ids = line.split()
            if line.endswith("\n"):
                said[word].update(ids)
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    assert await store.check() == []
    # One that was stored just before the kill was not said to be, and may have been run by the next process.
    expected = said["submitted"] | said["succeeded"]
    jobs = {job.id: job for job in await store.get(sorted(expected)) if job is not None}
    assert jobs.keys() == expected
    assert {id for id in said["succeeded"] if jobs[id].state is not State.SUCCEEDED} == set()
    await store.close()
    with apsw.Connection(str(tmp_path / "jobs.db")) as connection:
        assert connection.pragma("integrity_check") == "ok"
    connection.close()


FORK = """
from async_job.errors import ForkError

async def refused(store, call):
    try:
        await call
    except ForkError as error:
        return "make and open a store in the new process" in str(error)
    return False

async def child(store):
    calls = [store.counts(), store.submit([make_job(1)]), store.open(), store.close()]
    return all([await refused(store, call) for call in calls])

made_before = SqliteStore(path)

async def fresh(store):
    await store.open()
    states = (await store.counts()).states
    await store.close()
    return states["queued"] == 1

async def main():
    store = SqliteStore(path)
    await store.open()
    await store.submit([make_job(store.now())])
    return store

with asyncio.Runner() as runner:
    store = runner.run(main())
    pid = os.fork()
    if not pid:
        asyncio.set_event_loop(None)
        asyncio.events._set_running_loop(None)
        fine = asyncio.run(child(store)) and asyncio.run(fresh(made_before)) and asyncio.run(fresh(SqliteStore(path)))
        os._exit(0 if fine else 1)
    _, status = os.waitpid(pid, 0)
    print(status)
    print(sum(runner.run(store.counts()).states.values()))
    runner.run(store.close())
"""


async def test_a_store_is_not_carried_over_a_fork(tmp_path: Path, start: Start) -> None:
    """The child is told to open its own, which works, made before the fork or after it; the parent goes on."""
    process = start(tmp_path / "jobs.db", "forked", FORK)
    out, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, out.split()) == (0, ["0", "1"])


FORK_AT_WORK = """
import threading, time
at_work, finished = threading.Event(), threading.Event()

def work():
    at_work.set()
    time.sleep(0.2)
    finished.set()

async def main():
    store = SqliteStore(path)
    await store.open()
    for _ in range(3):
        at_work.clear()
        finished.clear()
        store._writer.post(work)
        at_work.wait()
        pid = os.fork()
        if not pid:
            os._exit(0 if finished.is_set() else 1)
        print(os.waitpid(pid, 0)[1])
    print((await store.submit([make_job(store.now())]))[0].created)
    await store.close()
asyncio.run(main())
"""


async def test_a_fork_waits_until_no_thread_is_within_sqlite(tmp_path: Path, start: Start) -> None:
    """The child would find SQLite's locks taken by a thread that it does not have."""
    process = start(tmp_path / "jobs.db", "forked", FORK_AT_WORK)
    out, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, out.split()) == (0, ["0", "0", "0", "True"])


KILLED_IN_ITS_TURN = """
turnstile = Turnstile(path)
with turnstile.turn():
    pid = os.fork()
    if not pid:
        print(os.getpid(), flush=True)
        signal.pause()
    signal.pause()
"""


async def test_a_forked_child_does_not_keep_the_turn_of_a_parent_that_was_killed(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "jobs.db"
    process = start(path, "killed", KILLED_IN_ITS_TURN)
    assert process.stdout is not None
    child = int(await asyncio.to_thread(process.stdout.readline))
    try:
        process.kill()
        process.wait()
        turnstile = Turnstile(path)
        async with asyncio.timeout(30):
            await asyncio.to_thread(lambda: turnstile.turn().__enter__())
        turnstile.close()
    finally:
        os.kill(child, signal.SIGKILL)


FULL = """
import resource
from async_job.errors import StoreFull

async def main():
    store = SqliteStore(path)
    await store.open()
    await store.enroll(make_worker(name), 60_000)
    await store.submit([make_job(store.now(), "first")])
    jobs = await claim(store, 1, name)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, resource.RLIM_INFINITY))
    refused = answered = 0
    for n in range(100):
        try:
            await store.submit([make_job(store.now(), f"big-{n}", input=b"1" * 100_000)])
            answered += 1
        except StoreFull as error:
            assert "free some space" in str(error)
            refused += 1
    answers = await asyncio.gather(
        store.submit([make_job(store.now(), "late", input=b"1" * 100_000)]),
        store.extend([name], 60_000),
        store.apply([change(job, Succeeded(job.token, b"1"), store.now()) for job in jobs]),
        return_exceptions=True,
    )
    print(refused > 0, type(answers[0]).__name__, answers[1], answers[2][0].state)
    print((await store.counts()).states["queued"] == answered)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print((await store.submit([make_job(store.now(), "late", input=b"1" * 100_000)]))[0].created)
    print(await store.check())
    await store.close()
asyncio.run(main())
"""


async def test_a_full_disk_turns_submits_away_and_lets_outcomes_through(tmp_path: Path, start: Start) -> None:
    """A limit on the size of files stands in for a full disk: SQLite's writes fail all the same."""
    process = start(tmp_path / "jobs.db", "full", FULL)
    out, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0
    assert out.splitlines() == ["True StoreFull [True] succeeded", "True", "True", "[]"]
