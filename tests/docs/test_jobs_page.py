"""docs/jobs.md: its program runs, and its figures are those of the code."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from async_job import Jobs
from async_job.core import backoff
from support.commands import environment
from support.documents import DOCS, blocks

PAGE = (DOCS / "jobs.md").read_text("utf-8")


@pytest.mark.realtime
def test_its_program_runs(tmp_path: Path) -> None:
    [program] = blocks("jobs.md")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment({"ASYNC_JOB_STORE": "memory://"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"PENDING\n(taken: [0-9a-f-]{36}\n){3}", ran.stdout), ran.stdout


def test_its_figures_are_those_of_the_code() -> None:
    defaults = {name: known.default for name, known in inspect.signature(Jobs.job).parameters.items()}
    assert f"| `max_attempts` | {defaults['max_attempts']}; no timeout |" in PAGE
    assert defaults["timeout"] is None
    assert f"| `max_crashes` | {defaults['max_crashes']} |" in PAGE
    first, longest = backoff.FIRST // 1000, backoff.LONGEST // 60_000
    waits = f"waits {first} s, then {2 * first} s, {4 * first} s and so on, at most {longest} min"
    assert f"{waits}; each is spread by up to {backoff.SPREAD:.0%}" in " ".join(PAGE.split()).replace("20 %", "20%")


def test_every_option_is_on_it() -> None:
    taken = set(inspect.signature(Jobs().job(_nothing).with_options).parameters)
    assert {name for name in taken if f"`{name}`" not in PAGE} == set()


async def _nothing() -> None: ...
