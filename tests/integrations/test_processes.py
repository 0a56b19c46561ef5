"""Jobs in worker processes beside a user's own application."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from async_job import Jobs, SettingsError, UsageError, asgi
from support.supervised import alive, command_of, descendants, wait_until
from support.uvicorn import Uvicorn

pytestmark = pytest.mark.realtime

SUPERVISOR = "async_job.worker.beside"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Uvicorn]:
    with Uvicorn("integrations.processes_application:app", tmp_path) as served:
        yield served


def run_job(served: Uvicorn) -> int:
    """The process in which a job ran."""
    with httpx.Client(base_url=f"{served.url}/jobs", trust_env=False, timeout=60) as http:
        done = http.post("/v1/jobs", json={"type": "work"}, headers={"Prefer": "wait=50"}).json()
    assert done["state"] == "succeeded", done
    pid = done["result"]
    assert isinstance(pid, int)
    return pid


def supervisor_of(served: Uvicorn) -> int:
    found = [pid for pid in descendants(served.process.pid) if SUPERVISOR in command_of(pid)]
    assert len(found) == 1, served.log
    return found[0]


def test_jobs_run_in_a_worker_process_of_a_supervisor_beside_the_application(served: Uvicorn) -> None:
    pid = run_job(served)
    assert pid != served.process.pid
    assert "async_job.worker.process" in command_of(pid)
    assert pid in descendants(supervisor_of(served))


def test_they_end_with_the_application(served: Uvicorn) -> None:
    run_job(served)
    processes = descendants(served.process.pid)
    served.stop()
    assert len(processes) >= 2
    assert not [pid for pid in processes if alive(pid)], served.log


def test_they_end_with_an_application_that_is_killed(served: Uvicorn) -> None:
    run_job(served)
    processes = descendants(served.process.pid)
    served.process.kill()
    served.process.wait()
    wait_until(lambda: not [pid for pid in processes if alive(pid)], what="the end")


def test_a_supervisor_that_dies_is_replaced(served: Uvicorn) -> None:
    first = supervisor_of(served)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first))
    run_job(served)
    assert supervisor_of(served) != first


async def test_memory_cannot_be_shared_with_processes() -> None:
    with pytest.raises(SettingsError, match="memory://"):
        async with asgi.lifespan(Jobs(store="memory://"), processes=1):
            pass


async def test_jobs_that_nothing_can_import_are_refused(tmp_path: Path) -> None:
    jobs = Jobs(store=f"sqlite:///{tmp_path / 'jobs.db'}")
    with pytest.raises(UsageError, match="target='module:attribute'"):
        async with asgi.lifespan(jobs, processes=1):
            pass


async def test_workers_that_cannot_start_keep_the_application_from_starting(tmp_path: Path) -> None:
    jobs = Jobs(store=f"sqlite:///{tmp_path / 'jobs.db'}")
    with pytest.raises(UsageError, match="no module"):
        async with asgi.lifespan(jobs, processes=1, target="nowhere_to_be_found:jobs"):
            pass


async def test_no_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        async with asgi.lifespan(Jobs(store="memory://"), processes=0):
            pass
