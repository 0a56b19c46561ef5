"""The code of docs/testing.md passes, as the tests of a program of its own."""

import subprocess
import sys
from pathlib import Path

from support.commands import environment
from support.documents import blocks

CONFTEST, *TESTS = blocks("testing.md")
APP = """
from async_job import Jobs

jobs = Jobs()
runs = []

@jobs.job
def send_mail(to: str, subject: str = "Hello") -> None: ...

@jobs.job
async def report(month: int) -> str:
    return "31 days"

@jobs.job
def flaky() -> None:
    runs.append(1)
    if len(runs) == 1:
        raise ConnectionError

def sign_up(address: str) -> None:
    send_mail.submit_sync(address)
"""
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def test_the_page_passes(tmp_path: Path) -> None:
    assert len(TESTS) >= 3
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_page.py").write_text("\n".join(["from app import *", *TESTS]))
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        pytest, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(TESTS)} passed" in ran.stdout
