"""docs/http-api.md: every request and every problem stands there, and what it has for a shell works."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import async_job
from async_job import Jobs
from async_job.web.app import operations
from async_job.web.closing import Closing
from async_job.web.problems import CONFLICTS
from support.commands import Serving
from support.documents import DOCS, blocks

PAGE = (DOCS / "http-api.md").read_text("utf-8")
DESCRIPTION = {("GET", "/openapi.json", "none"), ("GET", "/docs", "none")}


def test_every_request_stands_there_with_its_scope() -> None:
    rows = re.findall(r"^\| (.*) \| .* \| `?(\w+)`? \|$", PAGE, re.MULTILINE)
    told = {(*request, scope) for cell, scope in rows for request in re.findall(r"`([A-Z]+) (/\S*)`", cell)}
    table = operations(Jobs(), Closing())
    assert told == {(one.method, one.path, one.needs) for one in table} | DESCRIPTION


def test_every_problem_stands_there() -> None:
    sources = [path.read_text("utf-8") for path in Path(async_job.__file__).parent.rglob("*.py")]
    raised = {code for text in sources for code in re.findall(r'(?:Problem\(\s*\d{3},|_who\()\s*"(\w+)"', text)}
    assert len(raised) > 25
    told = set(re.findall(r"`(\w+)`", PAGE.partition("| status |")[2]))
    assert {*raised, *CONFLICTS.values()} - {"internal_error"} <= told


@pytest.mark.realtime
def test_the_commands_work(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("curl is missing (Debian: apt install curl)")
    script = "set -eu\n" + "\n".join(blocks("http-api.md", "sh")).replace(
        "curl ", "curl --fail-with-body --noproxy '*' "
    )
    with Serving("--workers", "1", folder=tmp_path) as server:
        program = script.replace("http://127.0.0.1:5079", server.url)
        said = subprocess.run(["sh", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert '"state":"succeeded"' in said.stdout
    assert '"matched":1' in said.stdout
