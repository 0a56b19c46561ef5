"""`async-job bench` with real workers: it measures, and afterwards everything is as it was."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from async_job import Jobs
from async_job.cli.main import main
from support.commands import COMMAND, environment, run_command
from support.servers import Server
from support.until import until

RATES = ("submit_per_s", "submit_many_per_s", "run_per_s", "latency_p50_ms", "latency_p99_ms")


@pytest.fixture
def client(redis_server: Server) -> Iterator[redis.Redis]:
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


async def submit_demo(store: str) -> str:
    """A job that waits; nobody runs it."""
    jobs = Jobs(store=store)
    async with jobs:
        return (await jobs.submit("demo", b"{}")).id


@pytest.mark.realtime
@pytest.mark.store("sqlite")
def test_beside_a_file_that_is_not_there_it_leaves_nothing(empty_folder: Path) -> None:
    answer = run_command("bench", "--seconds", "1", "--workers", "1", "--json", folder=empty_folder)
    assert (answer.returncode, answer.stderr) == (0, "")
    figures = json.loads(answer.stdout)
    assert figures["store"].startswith("sqlite:///async-job.db: sqlite 3.")
    assert figures["workers"] == 1
    assert all(figures[name] > 0 for name in RATES)
    assert list(empty_folder.iterdir()) == []


@pytest.mark.realtime
@pytest.mark.store("redis")
async def test_a_store_in_use_is_measured_only_in_a_namespace_of_its_own(
    empty_folder: Path, redis_server: Server, client: redis.Redis
) -> None:
    id = await submit_demo(redis_server.url)
    before = sorted(client.keys())
    asked = ("bench", "--store", redis_server.url, "--seconds", "1", "--workers", "1")
    refused = run_command(*asked, folder=empty_folder)
    assert refused.returncode == 2
    assert refused.stderr.endswith("is in use (1 live jobs) and would be slowed down; --namespace NAME measures "
                                   "beside it all the same\n")  # fmt: skip
    answer = run_command(*asked, "--namespace", "trial", folder=empty_folder)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "run, jobs that do nothing\t" in answer.stdout
    assert sorted(client.keys()) == before
    assert client.hget(f"async-job:{id}", "state") == "queued"


@pytest.mark.store("redis")
def test_a_namespace_of_another_program_stays_as_it_is(
    redis_server: Server, client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    client.set("cache:1", "precious")
    assert main(["bench", "--store", redis_server.url, "--namespace", "cache"]) == 2
    assert "there are keys of the namespace 'cache' already" in capsys.readouterr().err
    assert client.get("cache:1") == "precious"


@pytest.mark.realtime
@pytest.mark.store("redis")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_broken_off_it_takes_away_what_it_wrote(
    empty_folder: Path, redis_server: Server, client: redis.Redis, number: signal.Signals
) -> None:
    command = [*COMMAND, "bench", "--store", redis_server.url, "--workers", "1"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=empty_folder, env=environment(), stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        # Its workers have run something.
        await until(lambda: client.keys("async-job-bench-*.sys:finished:succeeded"))
        process.send_signal(number)
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, said) == (130, b"")
    assert client.keys() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store", "memory://"], "memory:// lives in one process"),
        (["--workers", "0"], "workers is 0: there would be nothing to measure"),
        (["--store", "sqlite:///missing/async-job.db"], "missing: no folder can be made there"),
        (["--namespace", "a b"], "namespace is 'a b' (--namespace)"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_what_cannot_be_measured_is_told(
    arguments: list[str], says: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert list(empty_folder.iterdir()) == []


@pytest.mark.store("redis")
def test_a_server_that_is_away_is_told(redis_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--store", "redis://127.0.0.1:1"]) == 3
    assert "Redis cannot be reached" in capsys.readouterr().err
