"""The commands as users run them: a real server with real workers, and real processes that ask it."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import redis

from support.commands import COMMAND, Serving, environment, run_command
from support.servers import Server
from support.supervised import wait_until

pytestmark = pytest.mark.realtime

GUID = "01a20bc6-5428-76a6-93d1-938226709d76"

PROGRAM = """
import asyncio
from async_job import Context, Jobs

print("a program may print while it is imported")
jobs = Jobs(concurrency=7)


@jobs.job
async def add(a: int, b: int = 1) -> int:
    return a + b


@jobs.job(max_attempts=1)
def fail(reason: str) -> None:
    raise ValueError(reason)


@jobs.job
async def count(context: Context, to: int, pause: float = 0.05) -> str:
    for n in range(to):
        context.progress(n, to, f"[{n}]")
        await asyncio.sleep(pause)
    return "done"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "program.py").write_text(PROGRAM)
    environ = {"ASYNC_JOB_MAX_INPUT": "2000", "ASYNC_JOB_DEMO_SECONDS": "1", "ASYNC_JOB_GRACE": "5"}
    with Serving("program:jobs", "--workers", "1", folder=folder, environ=environ) as serving:
        yield serving
        assert serving.stop() == 0
        assert "Traceback" not in serving.log


def ask(server: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    answer = run_command(*arguments, folder=server.folder, environ={"ASYNC_JOB_URL": server.url})
    assert "Traceback" not in answer.stderr
    return answer


def test_the_greeting_says_what_to_type_next(server: Serving) -> None:
    assert f" on {server.url}\n" in server.greeting
    for line in (
        f"curl -X POST {server.url}/start-job",
        f"curl {server.url}/status-job/ID",
        f"{server.url}/docs in a browser",
        "sqlite:///async-job.db",
        "1, each with 7 jobs at once",
        "async-job settings program:jobs",
        "Ctrl-C; running jobs have 5 s then, or none after a second Ctrl-C",
    ):
        assert f" {line}\n" in server.greeting


def test_what_the_greeting_says_works(server: Serving) -> None:
    post = re.search(r"curl -X POST (\S+)", server.greeting)
    get = re.search(r"curl (\S+)/ID", server.greeting)
    assert post
    assert get
    id = httpx.post(post[1]).json()
    assert httpx.get(f"{get[1]}/{id}").text in ("PENDING", "STARTING", "COMPLETE")


def test_submit_prints_the_id_and_nothing_else(server: Serving) -> None:
    answer = ask(server, "submit", "add", "a=2")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n", answer.stdout)


def test_submit_and_wait_prints_the_result(server: Serving) -> None:
    answer = ask(server, "submit", "add", "a=2", "b:=40", "--wait")
    assert (answer.returncode, answer.stdout) == (0, "42\n")
    assert answer.stderr.splitlines()[-1].endswith(" add succeeded")


def test_submit_and_wait_as_json_prints_the_job(server: Serving) -> None:
    job = json.loads(ask(server, "submit", "add", "a=2", "--wait", "--json").stdout)
    assert (job["state"], job["result"], job["input"]) == ("succeeded", 3, {"a": 2})
    assert json.loads(ask(server, "submit", "add", "a=2", "--json").stdout)["type"] == "add"


@pytest.mark.parametrize("way", [(), ("--store", "sqlite:///async-job.db", "--app", "program:jobs")])
def test_submit_takes_the_options_of_a_job(server: Serving, way: tuple[str, ...]) -> None:
    options = ["--delay=3600", "--priority=-3", "--queue=other", "--timeout=2.5", "--max-attempts=7"]
    options += ["--start-within=60", "--unique-key=the one", "--label=shop=7", "--label=note=a=b"]
    environ = {} if way else {"ASYNC_JOB_URL": server.url}
    submit = ("submit", "add", "a=2", *options, "--json", *way)
    answer = run_command(*submit, folder=server.folder, environ=environ)
    job = json.loads(answer.stdout)
    assert (job["state"], job["priority"], job["queue"], job["max_attempts"]) == ("scheduled", -3, "other", 7)
    assert job["labels"] == {"shop": "7", "note": "a=b"}
    due, start_by = (datetime.fromisoformat(job[name]) for name in ("scheduled_for", "start_by"))
    assert (start_by - due).total_seconds() == 60
    # The key is held: the same job is told again, or the submit refused.
    assert json.loads(run_command(*submit, folder=server.folder, environ=environ).stdout)["id"] == job["id"]
    refused = run_command(*submit, "--on-conflict=reject", folder=server.folder, environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has the unique key 'the one'" in refused.stderr


def test_a_failed_job_is_exit_code_1(server: Serving) -> None:
    answer = ask(server, "submit", "fail", "reason=no [bold]luck", "--wait")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[-1].endswith("fail failed: ValueError: no [bold]luck")
    id = answer.stderr.split()[0]
    status = ask(server, "status", id)
    assert status.returncode == 1
    assert "state: failed: ValueError: no [bold]luck\n" in status.stdout
    assert re.search(r'^raised in: File ".*program.py", line \d+, in fail$', status.stdout, re.MULTILINE)


def test_a_cancelled_job_is_exit_code_1_for_who_waits(server: Serving) -> None:
    id = ask(server, "submit", "count", "to=10000").stdout.strip()
    watching = subprocess.Popen(
        [*COMMAND, "status", id, "--watch", "--url", server.url],
        cwd=server.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watching:
        assert watching.stderr
        while "running" not in watching.stderr.readline():
            assert watching.poll() is None
        assert httpx.post(f"{server.url}/v1/jobs/{id}/cancel").status_code == 202
        out, err = watching.communicate(timeout=30)
    assert watching.returncode == 1
    assert "state: cancelled" in out
    assert "Traceback" not in err
    assert ask(server, "status", id).returncode == 0


def test_status_says_how_a_job_is(server: Serving) -> None:
    id = ask(server, "submit", "add", "a=5").stdout.strip()
    rows = dict(line.split(": ", 1) for line in ask(server, "status", id, "--watch").stdout.splitlines())
    assert (rows["id"], rows["type"], rows["state"], rows["result"]) == (id, "add", "succeeded", "6")
    assert json.loads(ask(server, "status", id, "--json").stdout)["id"] == id
    assert ask(server, "status", id.upper()).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "adds", "a=1"], "the server knows no type 'adds'; it has add, count, demo, fail"),
        (["submit", "add", "a=x"], "a is 'x', and has to be a whole number"),
        (["submit", "add", "c=1"], "the job takes no c; it takes a, b"),
        (["submit", "add"], "the job needs a; it takes a, b"),
        (["submit", "add", 'a:="x"'], "$.a"),
        (["submit", "add", "a=1", "b:=" + "[" * 300], "is no JSON"),
        (["submit", "fail", "reason=" + "x" * 3000], "at most 2000 bytes"),
        (["status", "01a20bc6-5428-76a6-93d1-938226709d76"], "no job 01a20bc6-5428-76a6-93d1-938226709d76"),
        (["status", "../job-types"], "no job ../job-types"),
        (["status", "%2e"], "no job %2e"),
    ],
)
def test_what_the_server_refuses_is_exit_code_2(server: Serving, arguments: list[str], said: str) -> None:
    answer = ask(server, *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1


def on_terminal(server: Serving, *arguments: str) -> tuple[int, str]:
    """Runs the command on a terminal of 100 columns; its exit code and all that it wrote there."""
    ours, theirs = pty.openpty()
    environ = environment({"ASYNC_JOB_URL": server.url, "COLUMNS": "100", "TERM": "xterm"})
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=server.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = bytearray()
    # Reading from a terminal that nobody writes to any more is an error on Linux.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    return process.wait(30), written.decode()


def test_on_a_terminal_a_bar_moves_and_the_end_is_said(server: Serving) -> None:
    code, written = on_terminal(server, "submit", "count", "to=70", "--wait")
    percents = {int(percent) for percent in re.findall(r"(\d+)%", written)}
    assert code == 0
    assert len(percents) >= 3
    assert "✓ count succeeded in" in written
    assert '"done"' in written


def test_on_a_terminal_a_failure_is_said(server: Serving) -> None:
    code, written = on_terminal(server, "submit", "fail", "reason=[red]", "--wait")
    assert code == 1
    assert "✗ fail failed: ValueError: [red]" in written


def test_on_a_terminal_status_and_settings_are_tables(server: Serving) -> None:
    id = ask(server, "submit", "add", "a=5").stdout.strip()
    code, written = on_terminal(server, "status", id)
    assert code == 0
    assert id in written
    code, written = on_terminal(server, "settings", "program:jobs")
    assert code == 0
    assert re.search(r"concurrency\s+7\s+\S*argument", written)


def test_ctrl_c_ends_the_waiting_and_not_the_job(server: Serving) -> None:
    waiting = subprocess.Popen(
        [*COMMAND, "submit", "count", "to=40", "--wait", "--url", server.url],
        cwd=server.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with waiting:
        assert waiting.stderr
        id = waiting.stderr.readline().split()[0]
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (130, "")
    assert f"the job goes on: async-job status {id} --watch --url {server.url}\n" in err
    assert "Traceback" not in err
    assert ask(server, "status", id, "--watch").returncode == 0


def test_the_store_can_be_asked_directly(server: Serving) -> None:
    store = ("--store", "sqlite:///async-job.db")
    answer = ask_store(server.folder, "submit", "add", "a=1", "b=2", "--wait", *store, "--app", "program:jobs")
    assert (answer.returncode, answer.stdout) == (0, "3\n")
    id = answer.stderr.splitlines()[-1].split()[0]
    assert "result: 3\n" in ask_store(server.folder, "status", id, *store).stdout
    by_server = json.loads(ask(server, "status", id, "--json").stdout)
    for of_the_moment in ("queue_position", "queue_position_capped", "estimated_start"):
        del by_server[of_the_moment]
    assert json.loads(ask_store(server.folder, "status", id, "--json", *store).stdout) == by_server
    assert ask_store(server.folder, "status", "nope", *store).returncode == 2


@pytest.mark.parametrize("way", [(), ("--store", "sqlite:///async-job.db")])
def test_jobs_are_listed_cancelled_and_run_again(server: Serving, way: tuple[str, ...]) -> None:
    environ = {} if way else {"ASYNC_JOB_URL": server.url}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, *way, folder=server.folder, environ=environ)

    label = f"--label=run={'store' if way else 'server'}"
    failed, waiting = (
        ask(server, "submit", *job, label).stdout.strip()
        for job in (("fail", "reason=no luck"), ("add", "a=1", "--delay=3600"))
    )
    ask(server, "status", failed, "--watch")
    rows = [line.split("\t") for line in run("list", label).stdout.splitlines()]
    assert [(id, type, state) for id, type, _, state in rows] == [
        (waiting, "add", "scheduled"),
        (failed, "fail", "failed: ValueError: no luck"),
    ]
    assert run("list", label, "--state=failed,expired").stdout.split()[0] == failed
    assert [job["id"] for job in json.loads(run("list", label, "--limit=1", "--json").stdout)] == [waiting]
    assert run("cancel", waiting).stdout == f"{waiting} add cancelled before it started\n"
    again = run("cancel", waiting)
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
    assert run("retry", failed).stdout.startswith(f"{failed} fail ")
    assert ask(server, "status", failed, "--watch").returncode == 1
    assert run("retry", GUID).returncode == 2


def ask_store(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    answer = run_command(*arguments, folder=folder)
    assert "Traceback" not in answer.stderr
    return answer


def test_a_server_that_is_no_async_job_server_is_exit_code_3(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{other.server_port}"
        answer = run_command("status", "01a20c0d-929e-73ad-907b-ad8c1a1e0051", "--url", url, folder=tmp_path)
        other.shutdown()
        thread.join()
    assert answer.returncode == 3
    assert f"{url} answered 404" in answer.stderr
    assert answer.stderr.endswith("is it an async-job server?\n")


def test_who_waits_for_a_job_outlasts_a_crash_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environ = {"ASYNC_JOB_LEASE": "1"}
    with Serving("program:jobs", "--workers", "1", folder=tmp_path, environ=environ) as serving:
        waiting = subprocess.Popen(
            [*COMMAND, "submit", "count", "to=20", "--wait", "--url", serving.url],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with waiting:
            assert waiting.stderr
            while "running" not in waiting.stderr.readline():
                assert waiting.poll() is None
            serving.kill()
            serving.start()
            out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (0, '"done"\n'), err


def test_findings_of_check_are_exit_code_1(tmp_path: Path, redis_server: Server) -> None:
    redis_server.flush()
    store = ("--store", redis_server.url)
    id = run_command("submit", "demo", *store, folder=tmp_path).stdout.strip()
    sound = run_command("check", *store, folder=tmp_path)
    assert (sound.returncode, sound.stdout.splitlines()[-1]) == (0, "every job is where it has to be")
    with redis.Redis(port=redis_server.port) as driver:
        assert driver.zrem("async-job.sys:queue:default", id) == 1
    broken = run_command("check", *store, folder=tmp_path)
    assert broken.returncode == 1
    assert f"{id}: " in broken.stdout
    assert f"`async-job check --repair --store {redis_server.url}` mends" in broken.stdout
    repaired = run_command("check", "--repair", *store, folder=tmp_path)
    assert (repaired.returncode, repaired.stdout.splitlines()[-1]) == (4, "repaired: every job is where it has to be")
    assert run_command("check", "--repair", *store, folder=tmp_path).returncode == 0
    with redis.Redis(port=redis_server.port) as driver:
        driver.hset(f"async-job:{id}", "state", "lost")
    lost = run_command("check", "--repair", *store, folder=tmp_path)
    assert (lost.returncode, lost.stdout.splitlines()[-1][:7]) == (1, "1 findi")


def test_a_port_open_to_others_has_to_be_meant(tmp_path: Path) -> None:
    with Serving("--host", "0.0.0.0", "--workers", "0", folder=tmp_path, environ={"ASYNC_JOB_ALLOW_OPEN": "1"}) as open:
        assert httpx.get(f"{open.url}/healthz").status_code == 200
        assert "http://127.0.0.1:" in open.greeting


def test_a_redis_that_is_away_is_told_in_one_line_and_greeted_when_it_is_there(
    tmp_path: Path, make_server: Callable[..., Server]
) -> None:
    server = make_server(appendonly=True)
    server.stop()
    # A user without a password is let in by any.
    store = server.url.replace("redis://", "redis://default:s3cret@")
    line = (
        f"async-job: cannot reach redis at 127.0.0.1:{server.port}, trying again; "
        "start a Redis there or set ASYNC_JOB_STORE\n"
    )
    log, greeting = tmp_path / "serve-1.err", tmp_path / "serve-1.out"

    def start_when_told() -> None:
        wait_until(lambda: log.exists() and line in log.read_text(), what="the line")
        assert greeting.read_text() == ""
        server.start()

    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start_when_told)
        with Serving("--workers", "2", "--store", store, folder=tmp_path) as serving:
            starting.result()
            wait_until(lambda: "the store is open" in serving.log, what="the durability")
            assert ask(serving, "submit", "demo", "seconds=0", "--wait").returncode == 0
            assert serving.log.count(line) == 1
            assert serving.log.count("loses up to 2 s") == 1
            assert "s3cret" not in serving.log + serving.greeting


def test_a_store_in_memory_is_served_by_one_process(tmp_path: Path) -> None:
    with Serving("--store", "memory://", folder=tmp_path) as serving:
        assert "in this process, 10 jobs at once" in serving.greeting
        answer = run_command("submit", "demo", "seconds=0", "--wait", "--url", serving.url, folder=tmp_path)
        assert (answer.returncode, answer.stdout) == (0, "null\n")
        assert serving.stop() == 0
        assert "Traceback" not in serving.log


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("store", ["memory://", "sqlite:///jobs.db"])
def test_a_greeting_that_cannot_be_written_is_left_out(store: str, tmp_path: Path) -> None:
    log = tmp_path / "serve.err"
    command = [*COMMAND, "serve", "--port", "0", "--workers", "1", "--store", store]
    with Path("/dev/full").open("wb") as full, log.open("wb") as err:
        serving = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=full, stderr=err)
    try:
        wait_until(lambda: "going on without" in log.read_text() or serving.poll() is not None, what="the greeting")
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0
    finally:
        serving.kill()
    assert "No space left on device" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_worker_of_its_own_runs_the_jobs_of_a_server_without(tmp_path: Path) -> None:
    with Serving("--workers", "0", folder=tmp_path) as serving:
        assert "none here; async-job worker starts some" in serving.greeting
        id = run_command("submit", "demo", "seconds=0", "--url", serving.url, folder=tmp_path).stdout.strip()
        worker = subprocess.Popen(
            [*COMMAND, "worker", "--workers", "1"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
        )
        with worker:
            assert run_command("status", id, "--watch", "--url", serving.url, folder=tmp_path).returncode == 0
            worker.send_signal(signal.SIGTERM)
            out, _ = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert "async-job worker" in out


def test_a_program_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("print('hello')\n1 / 0\n")
    answer = run_command("serve", "broken:jobs", "--port", "0", folder=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.splitlines()[-1].endswith("broken.py, line 2: ZeroDivisionError: division by zero")
    assert "Traceback" not in answer.stderr


def test_ctrl_c_while_the_program_is_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(600)\n")
    serving = subprocess.Popen(
        [*COMMAND, "serve", "slow:jobs", "--port", "0"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with serving:
        assert serving.stderr
        assert serving.stderr.readline() == "importing\n"
        # As the terminal does: to all that stand in the foreground.
        os.killpg(serving.pid, signal.SIGINT)
        out, err = serving.communicate(timeout=30)
    assert (serving.returncode, out, err) == (130, "", "")


def test_with_reload_a_change_of_the_program_is_served(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from async_job import Jobs\njobs = Jobs()\n")
    with Serving("program:jobs", "--reload", "--workers", "1", folder=tmp_path) as serving:
        assert "knows no type 'hello'" in ask(serving, "submit", "hello").stderr
        program.write_text(program.read_text() + "@jobs.job\ndef hello() -> str:\n    return 'you'\n")
        deadline = time.monotonic() + 30
        while (answer := ask(serving, "submit", "hello", "--wait")).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        assert answer.stdout == '"you"\n', answer.stderr
