"""docs/running.md: its codes are those of the command, its backup is one, its files are those that there are."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from async_job.cli import asking, checking, main
from async_job.settings import Settings
from support.commands import Serving, run_command
from support.documents import DOCS, blocks

pytestmark = pytest.mark.realtime

PAGE = (DOCS / "running.md").read_text("utf-8")


def test_every_exit_code_is_in_the_list() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert listed == {
        asking.FINE,
        asking.JOB_FAILED,
        checking.EX_FINDINGS,
        checking.EX_REPAIRED,
        main.USAGE,
        main.UNREACHABLE,
        main.UNWRITABLE,
        main.INTERRUPTED,
        main.PIPE_CLOSED,
    }


def test_the_limits_of_a_proxy_are_those_of_the_settings() -> None:
    settings = Settings()
    assert f"`max_wait` ({settings.max_wait:g} s)" in PAGE
    assert f"`max_body` ({settings.max_body / 2**20:g} MiB)" in PAGE
    [unit] = blocks("running.md", "ini")
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert settings.grace < int(stop)


def test_the_files_beside_a_store_and_the_backup_of_one_in_use(tmp_path: Path) -> None:
    with Serving("--workers", "1", "--store", "sqlite:///jobs.db", folder=tmp_path) as server:
        ran = run_command("submit", "demo", "seconds=0", "--wait", "--url", server.url, folder=tmp_path)
        assert ran.returncode == 0, ran.stderr
        there = {path.name for path in tmp_path.glob("jobs.db-*")}
        [program] = re.findall(r"^python -c '(.*)'$", PAGE, re.MULTILINE)
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert set(re.findall(r"`(jobs\.db-\w+)`", PAGE)) == there
    [command] = re.findall(r"^async-job (check .*)$", PAGE, re.MULTILINE)
    assert run_command(*command.split(), folder=tmp_path).returncode == 0
    assert sqlite3.connect(tmp_path / "copy.db").execute("SELECT count(*) FROM jobs").fetchone() == (1,)
