"""Real processes under a real supervisor: they are watched, replaced and ended, and their jobs handed back."""

import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from async_job.core.job import Job, State
from async_job.settings import Settings
from async_job.store.open import make_store
from async_job.store.protocol import Store
from support import ledger
from support.jobs import make_job
from support.supervised import Program, alive, wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

MakeProgram = Callable[..., Program]
SLACK = 3.0
"""Seconds that a busy machine may add."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = make_store(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def settings(url: str) -> Settings:
    return Settings(store=url, workers=1, concurrency=4, lease=3.0, renew=0.5, grace=5.0, log_format="json")


async def submit(store: Store, type: str = "work", seconds: float = 0.2, **fields: Any) -> str:
    job = make_job(store.now(), type=type, input=b'{"seconds":%g}' % seconds, **fields)
    await store.submit([job])
    return job.id


async def read(store: Store, id: str) -> Job:
    [job] = await store.get([id])
    assert job is not None
    return job


def started(program: Program, id: str, attempt: int = 1) -> None:
    """Waits until the attempt of the job runs."""
    wait_until(
        lambda: any((line.id, line.attempt) == (id, attempt) for line in ledger.read(program.ledger)),
        what=f"attempt {attempt} of {id}",
    )


async def finished(store: Store, id: str, timeout: float = 20.0) -> Job:
    until = time.monotonic() + timeout
    while not (job := await read(store, id)).done:
        assert time.monotonic() < until, job
        await store.wait(["none"], 0.02)
    return job


async def test_a_killed_worker_is_replaced_and_its_job_runs_again(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    with Program(settings, tmp_path) as program:
        id = await submit(store, seconds=1)
        started(program, id)
        [worker] = program.workers()
        os.kill(worker, signal.SIGKILL)
        job = await finished(store, id)
        assert (job.state, job.attempt, job.crashes, job.failures) == (State.SUCCEEDED, 2, 1, 0)
        [first] = job.attempts
        assert first.reason == "crashed"
        assert first.error is not None
        assert "SIGKILL" in first.error.message
        wait_until(program.workers)
        assert worker not in program.workers()


async def test_neighbours_of_a_crash_are_suspect_and_uncharged(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    with Program(settings, tmp_path) as program:
        ids = [await submit(store, seconds=0.5) for _ in range(2)]
        for id in ids:
            started(program, id)
        os.kill(program.workers()[0], signal.SIGKILL)
        for id in ids:
            job = await finished(store, id)
            assert (job.state, job.crashes, job.suspect) == (State.SUCCEEDED, 0, True)


async def test_what_a_dead_worker_had_only_claimed_is_not_suspect(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Short jobs are claimed ahead, more than there are slots."""
    with Program(settings, tmp_path):
        jobs = [make_job(store.now(), type="work", input=b'{"seconds":0}') for _ in range(200)]
        jobs[100] = make_job(store.now(), jobs[100].id, type="die_at_first", input=b'{"seconds":0}')
        await store.submit(jobs)
        ended = [await finished(store, job.id) for job in jobs]
    assert {job.state for job in ended} == {State.SUCCEEDED}
    assert ended[100].suspect
    assert sum(job.suspect for job in ended) <= settings.concurrency
    neighbours = [job for job in ended if [attempt.reason for attempt in job.attempts] == ["neighbour"]]
    assert neighbours
    assert not any(job.suspect or job.crashes for job in neighbours)


async def test_what_a_worker_has_loaded_is_out_of_the_collectors_sight(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    with Program(settings, tmp_path):
        job = make_job(store.now(), type="collected", input=b"{}")
        await store.submit([job])
        result = (await finished(store, job.id)).result
        assert result is not None
        frozen, seen = msgspec.json.decode(result)
        assert frozen > 10 * seen


async def test_no_child_outlives_its_supervisor(settings: Settings, tmp_path: Path) -> None:
    with Program(settings, tmp_path, serve=True) as program:
        children = program.children()
        assert len(children) == 2
        program.kill()
        wait_until(lambda: not any(alive(pid) for pid in children), timeout=2 + SLACK)


async def test_the_keyboard_reaches_only_the_supervisor(settings: Settings, tmp_path: Path) -> None:
    with Program(settings, tmp_path, serve=True) as program:
        groups = {os.getpgid(pid) for pid in [program.pid, *program.children()]}
        assert len(groups) == 3
        program.signal(signal.SIGINT)
        assert program.wait() == 0


async def test_what_a_job_has_started_ends_with_the_worker(store: Store, settings: Settings, tmp_path: Path) -> None:
    with Program(replace(settings, grace=0.0), tmp_path, "children.application:jobs") as program:
        job = make_job(store.now(), type="start_a_process_and_linger", input=b"{}")
        await store.submit([job])
        until = time.monotonic() + 20
        while not (lines := await store.log(job.id)):
            assert time.monotonic() < until, program.text()
            await store.wait(["none"], 0.02)
        pid = int(lines[0].message)
        assert alive(pid)
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        assert not alive(pid)
    assert (await read(store, job.id)).state is State.QUEUED


async def test_a_drain_lets_running_jobs_end(store: Store, settings: Settings, tmp_path: Path) -> None:
    with Program(settings, tmp_path) as program:
        id = await submit(store, seconds=1)
        started(program, id)
        program.signal(signal.SIGTERM)
        waiting = await submit(store)
        assert program.wait() == 0
    job = await read(store, id)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert (await read(store, waiting)).attempt == 0
    assert "drained" in program.text()


@pytest.mark.parametrize("type", ["work", "stubborn"])
async def test_what_outlasts_the_grace_goes_back_uncharged(
    store: Store, settings: Settings, tmp_path: Path, type: str
) -> None:
    settings = Settings(store=settings.store, workers=1, grace=0.5)
    with Program(settings, tmp_path) as program:
        id = await submit(store, type, seconds=60)
        started(program, id)
        program.signal(signal.SIGTERM)
        assert program.wait(settings.grace + 1 + SLACK) == 0
    job = await read(store, id)
    assert (job.state, job.reason, job.crashes, job.failures) == (State.QUEUED, "shutdown", 0, 0)


async def test_a_second_signal_ends_at_once(store: Store, settings: Settings, tmp_path: Path) -> None:
    settings = Settings(store=settings.store, workers=1, grace=60)
    with Program(settings, tmp_path) as program:
        ids = [await submit(store, type, seconds=60) for type in ("work", "stubborn")]
        for id in ids:
            started(program, id)
        program.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in program.text())
        program.signal(signal.SIGTERM)
        assert program.wait(1 + SLACK) == 0
    for id in ids:
        job = await read(store, id)
        assert (job.state, job.reason, job.crashes, job.failures) == (State.QUEUED, "shutdown", 0, 0)


async def test_a_job_that_ignores_its_timeout_is_killed_and_its_neighbour_is_not_charged(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    with Program(settings, tmp_path) as program:
        guilty = await submit(store, "stubborn", seconds=60, timeout=300, max_attempts=1)
        neighbour = await submit(store, seconds=7)
        started(program, neighbour)
        job = await finished(store, guilty)
        assert (job.state, job.failures, job.crashes, job.suspect) == (State.FAILED, 1, 0, True)
        assert job.error is not None
        assert job.error.kind == "timeout"
        started(program, neighbour, attempt=2)
        job = await read(store, neighbour)
        assert (job.failures, job.crashes, job.suspect) == (0, 0, False)
        assert job.attempts[0].reason == "neighbour"


async def test_a_process_that_gives_no_sign_of_life_is_killed(store: Store, settings: Settings, tmp_path: Path) -> None:
    settings = Settings(store=settings.store, workers=1, stall_timeout=1.5)
    with Program(settings, tmp_path):
        id = await submit(store, "stop_everything", seconds=0.1)
        job = await finished(store, id)
        assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 2, 1)
        assert job.attempts[0].error is not None
        assert "sign of life" in job.attempts[0].error.message


async def test_a_program_that_was_stopped_as_a_whole_takes_nobody_for_dead(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    settings = Settings(store=settings.store, workers=1, stall_timeout=1.5)
    with Program(settings, tmp_path) as program:
        id = await submit(store, seconds=3.5)
        started(program, id)
        everybody = [*program.children(), program.pid]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        await store.wait(["none"], 2.5)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        assert (await finished(store, id)).attempt == 1


async def test_a_worker_retired_by_somebody_else_is_replaced(store: Store, settings: Settings, tmp_path: Path) -> None:
    with Program(settings, tmp_path) as program:
        id = await submit(store, seconds=60)
        started(program, id)
        [worker] = program.workers()
        await store.retire((await read(store, id)).worker)
        wait_until(lambda: program.workers() not in ([], [worker]), what="another worker")
        # What the retired one held was left to whoever retired it, or was given back; it runs again either way.
        started(program, id, attempt=2)


async def test_an_application_that_cannot_be_imported_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    settings = Settings(store=settings.store, workers=3)
    program = Program(settings, tmp_path, "broken:jobs", serve=True).start(ready=False)
    try:
        assert program.wait() == 2
    finally:
        program.kill()
    assert program.text().count("no_such_module") == 1, program.text()
    assert "broken.py, line 1" in program.text()


async def test_a_store_that_must_not_be_used_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'text.db'}")
    (tmp_path / "text.db").write_text("This is no database, and must not become one. " * 100)
    program = Program(settings, tmp_path, serve=True).start(ready=False)
    try:
        assert program.wait() == 2
    finally:
        program.kill()
    assert program.text().count("async-job: ") == 1, program.text()


async def test_a_store_in_memory_cannot_be_shared(tmp_path: Path) -> None:
    program = Program(Settings(store="memory://"), tmp_path).start(ready=False)
    assert program.wait() == 2
    assert "memory://" in program.text()


async def test_a_process_that_dies_at_each_start_is_tried_less_and_less_often(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "dying.py").write_text("import os\nopen('starts', 'a').write('.')\nos._exit(3)\n")
    program = Program(settings, tmp_path, "dying:jobs").start(ready=False)
    try:
        wait_until(lambda: "less and less often" in program.text())
        wait_until(lambda: len((tmp_path / "starts").read_text()) >= 5)
        assert program.text().count("less and less often") == 1
        program.signal(signal.SIGTERM)
        assert program.wait(1 + SLACK) == 0
    finally:
        program.kill()


def port_of(program: Program) -> int:
    found = re.search(r"^port (\d+)$", program.text(), re.MULTILINE)
    assert found
    return int(found[1])


def get(program: Program, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port_of(program)}{path}", timeout=10) as answer:
        status: int = answer.status
        return status


async def test_a_killed_http_process_comes_back_on_its_port(settings: Settings, tmp_path: Path) -> None:
    with Program(settings, tmp_path, serve=True) as program:
        path = "/status-job/nothing"
        assert get(program, path) == 200
        [server] = set(program.children()) - set(program.workers())
        os.kill(server, signal.SIGKILL)
        # Who connects meanwhile waits in the socket's queue: it is the supervisor's, and stays open.
        assert get(program, path) == 200
        assert server not in program.children()


async def test_a_change_of_the_code_starts_the_children_anew(store: Store, settings: Settings, tmp_path: Path) -> None:
    code = "from async_job import Jobs\njobs = Jobs()\n@jobs.job\ndef version(seconds: float) -> int:\n    return {}\n"
    (tmp_path / "app.py").write_text(code.format(1))
    with Program(settings, tmp_path, "app:jobs", reload=True) as program:
        id = await submit(store, "version")
        assert (await finished(store, id)).result == b"1"
        workers = program.workers()
        # Files may be watched a moment later than the children are ready.
        until = time.monotonic() + 20
        while program.workers() in ([], workers):
            assert time.monotonic() < until
            (tmp_path / "app.py").write_text(code.format(2))
            await store.wait(["none"], 0.5)
        id = await submit(store, "version", seconds=0)
        assert (await finished(store, id)).result == b"2"
