"""The code of docs/integrations.md runs: each block is an application under a real uvicorn."""

from pathlib import Path

import httpx
import pytest

from support.documents import blocks
from support.uvicorn import Uvicorn

pytestmark = pytest.mark.realtime

BLOCKS = blocks("integrations.md")
TASKS = """
from async_job import Jobs

jobs = Jobs()

async def check_token() -> None: ...

@jobs.job
async def make_report(month: int) -> int:
    return month
"""


def test_there_are_blocks_for_each_framework() -> None:
    for framework in ("starlette", "fastapi", "litestar"):
        assert [block for block in BLOCKS if f"import {framework}" in block or f"from {framework}" in block]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "application.py").write_text(block)
    with (
        Uvicorn("application:app", tmp_path) as served,
        httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http,
    ):
        at = "/jobs" if "/jobs" in block else ""
        if "/reports" in block:
            answer = http.post("/reports")
        else:
            answer = http.post(f"{at}/v1/jobs", json={"type": "make_report", "input": {"month": 3}})
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"{at}/v1/jobs/{answer.json()['id']}"
        if "lifespan" in block:
            done = http.get(answer.headers["Location"], headers={"Prefer": "wait=30"}).json()
            assert done["result"] == 3
        assert served.stop() in (0, -15), served.log
