"""The server as a process: how it is started, how it ends, and what it tells its supervisor."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from async_job.settings import Settings
from async_job.worker.launch import EX_CONFIG, Launch
from async_job.worker.parent import EX_ORPHANED
from support.servers import Server

pytestmark = pytest.mark.realtime

APP = """
import gc
import time
from msgspec import Struct
from async_job import Jobs
jobs = Jobs()
class Collected(Struct):
    def __post_init__(self) -> None:
        raise ValueError(f"{gc.get_freeze_count()} frozen, {len(gc.get_objects())} not")
@jobs.job
async def look(input: Collected) -> None: ...
@jobs.job
async def hello(name: str) -> str:
    return f"Hello, {name}"
@jobs.job
def sleep(seconds: float) -> None:
    time.sleep(seconds)
"""

EMBEDDED = """
import socket, sys
from async_job import Jobs
from async_job.server import serve_embedded
from async_job.loading import load_jobs
jobs = load_jobs("app:jobs")
jobs.configure({"store": "memory://"})
listen = socket.socket(fileno=int(sys.argv[1]))
sys.exit(serve_embedded(jobs, listen, lambda: print("ready", flush=True)))
"""


class Process:
    """The server process with the ends of its pipes that a supervisor holds."""

    def __init__(self, folder: Path, target: str | None, settings: Settings) -> None:
        self.listen = socket.create_server(("127.0.0.1", 0))
        self.signs, signs_fd = os.pipe()
        life_fd, self.life = os.pipe()
        launch = Launch(
            target=target, settings=settings, signs_fd=signs_fd, life_fd=life_fd, listen_fd=self.listen.fileno()
        )
        command = [sys.executable, "-m", "async_job.server"]
        self.popen = subprocess.Popen(
            command,
            env=launch.environ(),
            pass_fds=launch.fds,
            cwd=folder,
            start_new_session=True,
        )
        os.close(signs_fd)
        os.close(life_fd)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listen.getsockname()[1]}"

    def first_sign(self) -> object:
        line = os.read(self.signs, 1000)
        return json.loads(line.splitlines()[0]) if line else None

    def end(self) -> int:
        """Its exit code, once it has one."""
        return self.popen.wait(timeout=30)

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self.listen.close()
        for fd in (self.signs, self.life):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    (tmp_path / "app.py").write_text(APP)
    processes: list[Process] = []

    def start(target: str | None = "app:jobs", **settings: object) -> Process:
        given = {"store": f"sqlite:///{tmp_path / 'jobs.db'}", "grace": 5.0, **settings}
        processes.append(Process(tmp_path, target, Settings(**given)))  # type: ignore[arg-type]
        return processes[-1]

    yield start
    for process in processes:
        process.close()


def test_it_serves_on_the_socket_that_it_was_given_until_it_is_told_to_stop(start: Callable[..., Process]) -> None:
    process = start()
    assert process.first_sign() == {"ready": True}
    with httpx.Client(base_url=process.url, trust_env=False) as client:
        answer = client.post("/start-job/hello", json={"name": "Zoë"})
        assert answer.status_code == 200
        assert "server" not in answer.headers
        assert client.get(f"/status-job/{answer.json()}").text == "PENDING"
        # The connection stays open, and does not hold the server up.
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 0


def test_what_it_has_loaded_is_out_of_the_collectors_sight(start: Callable[..., Process]) -> None:
    """Else a full collection holds up every request for as long as it looks at the whole program."""
    process = start()
    process.first_sign()
    answer = httpx.post(f"{process.url}/start-job/look", json={"input": {}}, trust_env=False)
    counted = re.search(r"(\d+) frozen, (\d+) not", answer.text)
    assert counted is not None, answer.text
    frozen, seen = map(int, counted.groups())
    assert frozen > 10 * seen


def test_told_twice_it_ends_at_once_and_says_nothing_of_errors(
    start: Callable[..., Process], capfd: pytest.CaptureFixture[str]
) -> None:
    process = start()
    process.first_sign()
    process.popen.send_signal(signal.SIGTERM)
    process.popen.send_signal(signal.SIGINT)
    assert process.end() == 0
    assert capfd.readouterr().err == ""


def test_a_second_one_takes_over_the_socket(start: Callable[..., Process]) -> None:
    process = start()
    process.first_sign()
    process.popen.kill()
    process.popen.wait()
    # Who connects meanwhile waits in the socket's queue.
    with socket.create_connection(process.listen.getsockname()) as early:
        launch = Launch(target=None, settings=Settings(store="memory://"), listen_fd=process.listen.fileno())
        life_fd, life = os.pipe()
        signs, signs_fd = os.pipe()
        launch = msgspec.structs.replace(launch, life_fd=life_fd, signs_fd=signs_fd)
        command = [sys.executable, "-m", "async_job.server"]
        with subprocess.Popen(command, env=launch.environ(), pass_fds=launch.fds, start_new_session=True) as second:
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert early.recv(1000).startswith(b"HTTP/1.1 200 OK")
            second.send_signal(signal.SIGTERM)
        assert second.returncode == 0
        for fd in (life_fd, life, signs, signs_fd):
            os.close(fd)


def test_it_ends_when_its_supervisor_is_gone(start: Callable[..., Process]) -> None:
    process = start()
    process.first_sign()
    os.close(process.life)
    process.life = -1
    assert process.end() == EX_ORPHANED


def test_ctrl_c_is_the_supervisors(start: Callable[..., Process]) -> None:
    process = start()
    process.first_sign()
    process.popen.send_signal(signal.SIGINT)
    assert httpx.get(f"{process.url}/healthz", trust_env=False).status_code == 200


def test_an_application_that_cannot_be_imported_is_not_tried_again(start: Callable[..., Process]) -> None:
    process = start("nothing:jobs")
    refusal = process.first_sign()
    assert isinstance(refusal, dict)
    assert refusal["refusal"].startswith("nothing:jobs: there is no module nothing")
    assert process.end() == EX_CONFIG


def test_a_store_that_would_lose_jobs_stops_the_start(
    start: Callable[..., Process], make_server: Callable[..., Server]
) -> None:
    process = start(store=make_server(config={"maxmemory-policy": "allkeys-lru"}).url)
    refusal = process.first_sign()
    assert isinstance(refusal, dict)
    assert "allkeys-lru" in refusal["refusal"]
    assert process.end() == EX_CONFIG


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """HTTP and a worker in one process, and its URL."""
    (folder / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as listen:
        command = [sys.executable, "-c", EMBEDDED, str(listen.fileno())]
        with subprocess.Popen(command, pass_fds=[listen.fileno()], cwd=folder, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process, f"http://127.0.0.1:{listen.getsockname()[1]}"


def test_http_and_a_worker_in_one_process(tmp_path: Path) -> None:
    with embedded(tmp_path) as (process, url):
        body = {"type": "hello", "input": {"name": "Zoë"}}
        answer = httpx.post(f"{url}/v1/jobs", json=body, headers={"Prefer": "wait=30"}, trust_env=False)
        assert answer.json()["result"] == "Hello, Zoë"
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_told_twice_one_process_ends_at_once_whatever_its_threads_do(tmp_path: Path) -> None:
    with embedded(tmp_path) as (process, url):
        job = httpx.post(f"{url}/v1/jobs", json={"type": "sleep", "input": {"seconds": 3600}}, trust_env=False).json()
        while not job["started_at"]:
            job = httpx.get(f"{url}{job['links']['self']}", headers={"Prefer": "wait=1"}, trust_env=False).json()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()
