"""Whatever is typed wrongly: one line that says what to do, an exit code, and no traceback."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from async_job.cli.main import app, main
from support.commands import COMMAND, environment

FULL = Path("/dev/full")

COMMANDS = ("serve", "worker", "submit", "status", "list", "cancel", "retry", "check", "bench", "settings")

# An id that is none is not asked for.
GUID = "01a20bc8-eae2-71de-918f-909fddd735af"

WRONG: list[tuple[list[str], int, str]] = [
    (["subit"], 2, "No such command 'subit'. Did you mean 'submit'?; see `async-job --help`"),
    (["submit"], 2, "Missing argument 'TYPE'; see `async-job submit --help`"),
    (["status"], 2, "Missing argument 'ID'; see `async-job status --help`"),
    (["status", "x", "--prot", "1"], 2, "No such option: --prot"),
    (["status", "x", "y"], 2, "unexpected extra argument"),
    (["serve", "--port", "many"], 2, "Invalid value for '--port'"),
    (["serve", "--port", "99999"], 2, "port is '99999' (--port); it has to be a whole number from 0 to 65535"),
    (["serve", "--workers", "-1"], 2, "workers is '-1' (--workers)"),
    (["serve", "--store", "jobs.db"], 2, "store (--store) is 'jobs.db': give memory://, sqlite:///file.db"),
    (["serve", "--host", "0.0.0.0"], 2, "host is 0.0.0.0 (--host): whoever reaches this machine could start jobs"),
    (["serve", "--host", "::"], 2, "set ASYNC_JOB_ALLOW_OPEN=true"),
    (["serve", "no_such_module:jobs"], 2, "there is no module no_such_module"),
    (["serve", "--store", "memory://", "--reload", "--port", "0"], 2, "--reload would lose what is in memory://"),
    (["worker", "--workers", "0"], 2, "workers is 0"),
    (["worker", "--store", "memory://"], 2, "store is memory://"),
    (
        ["submit", "demo", "seconds", "--store", "sqlite:///a.db"],
        2,
        "'seconds' is no input; write key=value, or key:=json",
    ),
    (["submit", "demo", "--priority", "10"], 2, "priority must be from -9 to 9, not 10"),
    (["submit", "demo", "--delay", "soon"], 2, "Invalid value for '--delay'"),
    (["submit", "demo", "--label", "shop"], 2, "'shop' is no label; write --label name=value"),
    (["submit", "demo", "--on-conflict", "ignore"], 2, "'ignore' is not one of 'return_existing', 'reject', 'replace'"),
    (["submit", "demo", "--url", "localhost:5079"], 2, "'localhost:5079' is no server; write a URL"),
    (["submit", "demo", "--url", "http://[::1"], 2, "'http://[::1' is no server; write a URL"),
    (["submit", "demo", "--url", "http://host:notaport"], 2, "'http://host:notaport' is no server; write a URL"),
    (["submit", "demo", "--url", "http://host:99999"], 2, "'http://host:99999' is no server; write a URL"),
    (["submit", "demo", "seconds=\udcff"], 2, "b'seconds=\\xff' is no UTF-8"),
    (["submit", "demo", "seconds:=\udcff", "--store", "sqlite:///a.db"], 2, "is no UTF-8"),
    (["list", "--type", "\udcff"], 2, "is no UTF-8"),
    (["list", "--label", "a=\udcff"], 2, "is no UTF-8"),
    (["serve", "json:jobs", "--host", "\udcff"], 2, "is no UTF-8"),
    (["serve", "\udcff:jobs"], 2, "is no UTF-8"),
    (["submit", "demo", "--url", "http://127.0.0.1:1"], 3, "no server answers at http://127.0.0.1:1"),
    (["submit", "demo", "--app", "x:jobs"], 2, "--app gives the functions for --store"),
    (["submit", "demo", "--store", "memory://"], 2, "memory:// lives inside the server"),
    (["submit", "demo", "--store", "sqlite:///a.db", "--url", "http://x"], 2, "give --url or --store, not both"),
    (["submit", "other", "--store", "sqlite:///a.db"], 2, "--app module:jobs names the program"),
    (["submit", "demo", "x=1", "--store", "sqlite:///a.db"], 2, "the job takes no x; it takes seconds"),
    (["submit", "demo", "seconds=-1", "--store", "sqlite:///a.db"], 2, "$.seconds"),
    (["submit", "demo", "--store", "redis://127.0.0.1:1"], 3, "Redis cannot be reached"),
    (["status", GUID, "--url", "http://127.0.0.1:1"], 3, "start one by `async-job serve`"),
    (["status", "x", "--store", "sqlite:///missing.db"], 2, "missing.db; name the store by --store"),
    (["check", "--store", "sqlite:///missing.db"], 2, "there is no file"),
    (["list", "--state", "done"], 2, "'done' is no state; there are scheduled, queued, running"),
    (["list", "--limit", "0"], 2, "Invalid value for '--limit'"),
    (["list", "--url", "http://127.0.0.1:1"], 3, "no server answers at http://127.0.0.1:1"),
    (["cancel"], 2, "Missing argument 'ID'; see `async-job cancel --help`"),
    (["retry", "x", "--store", "sqlite:///missing.db"], 2, "missing.db; name the store by --store"),
    (["check", "--store", "memory://"], 2, "memory:// lives inside the server"),
    (["settings", "json:jobs"], 2, "module json has no 'jobs'"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG, ids=[" ".join(arguments) for arguments, _, _ in WRONG])
def test_wrong_usage_is_one_line_that_says_what_to_do(
    arguments: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert main(arguments) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.startswith("async-job: ")
    assert captured.err.count("\n") == 1, captured.err


def test_a_key_that_cannot_be_one_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("schlüssel", "aj_1_2\n", "\udcff"):
        monkeypatch.setenv("ASYNC_JOB_API_KEY", key)
        assert main(["list"]) == 2
        assert capsys.readouterr().err.startswith("async-job: the API key has to be visible ASCII characters")


def test_a_wrong_setting_in_a_file_stops_every_command_that_reads_it(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    (empty_folder / "async-job.toml").write_text("leese = 3\n")
    for command in (["serve"], ["worker"], ["check"], ["settings"], ["submit", "demo", "--store", "sqlite:///a.db"]):
        assert main(command) == 2, command
        assert capsys.readouterr().err == "async-job: leese (async-job.toml) is no setting; did you mean lease?\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f" async-job {command}" in out.partition("Usage:")[2].partition("\n")[2]
    # An option that is shown in square brackets would be taken for markup and vanish.
    assert "[bold]" not in out


def test_every_command_is_listed_and_tested_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f" {command} " in out for command in COMMANDS)
    assert len(app.registered_commands) == len(COMMANDS)


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "Usage: async-job" in captured.out
    assert captured.err == ""


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_help_imports_no_server_no_client_and_no_driver() -> None:
    code = (
        "import sys; from async_job.cli.main import main; main(['serve', '--help']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"uvicorn", "starlette", "httpx", "redis", "apsw", "watchfiles"}
    assert not heavy & set(answer.stderr.split())


def test_a_host_that_cannot_be_a_name_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNC_JOB_ALLOW_OPEN", "true")
    assert main(["serve", "--host", "a" * 70, "--port", "0"]) == 2
    assert capsys.readouterr().err.startswith(f"async-job: cannot listen on {'a' * 70}, port 0: ")


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "Address already in use; choose others by --host, --port\n" in capsys.readouterr().err


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["settings"]])
def test_output_that_cannot_be_written_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    with FULL.open("wb") as full:
        assert end_of(arguments, full.fileno(), tmp_path) == (
            74,
            "async-job: the output cannot be written: No space left on device\n",
        )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["settings"]])
def test_a_reader_that_has_gone_ends_it_quietly(arguments: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert end_of(arguments, writing, tmp_path) == (141, "")
    finally:
        os.close(writing)


def test_ctrl_c_while_it_starts_is_no_traceback(tmp_path: Path) -> None:
    # What it imports, and that takes long. A signal just before a sleep does not end it, so there are many short ones.
    (tmp_path / "msgspec.py").write_text(
        "import time\nprint('importing', flush=True)\nfor _ in range(6_000):\n    time.sleep(0.01)\n"
    )
    starting = subprocess.Popen(
        [*COMMAND, "--help"], env=environment({"PYTHONPATH": str(tmp_path)}), stdout=PIPE, stderr=PIPE, text=True
    )
    with starting:
        assert starting.stdout
        assert starting.stdout.readline() == "importing\n"
        starting.send_signal(signal.SIGINT)
        assert (*starting.communicate(timeout=30), starting.returncode) == ("", "", 130)


def end_of(arguments: list[str], out: int, folder: Path) -> tuple[int, str]:
    """The exit code and the errors of a command that writes to `out`."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        stdout=out,
        stderr=PIPE,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr
