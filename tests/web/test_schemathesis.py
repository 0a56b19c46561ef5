"""The whole document against a real server, by schemathesis: no 5xx, and nothing that is not as the document says."""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from async_job.access.keys import SCOPES, Keys
from support.web import make_jobs, serve

PHASES = ["Examples", "Coverage", "Fuzzing", "Stateful"]


@pytest.mark.realtime
async def test_schemathesis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = make_jobs("memory://", max_wait=0.01, grace=0.5)
    async with serve(jobs, worker=True) as site:
        _, key = await Keys(await jobs.store()).create("schemathesis", SCOPES)
        url = f"http://127.0.0.1:{site.port}/openapi.json"
        code, said = await run(tmp_path, url, "--header", f"Authorization: Bearer {key}")
        document: dict[str, Any] = (await site.get("/openapi.json")).json()
    # The operation that it has read the document from it leaves out.
    operations = sum(len(found) for path, found in document["paths"].items() if path != "/openapi.json")
    statuses, linked = read(tmp_path / "run.ndjson")
    with capsys.disabled():
        print("\n" + said[said.find("= SUMMARY") :], f"answers by status: {dict(sorted(statuses.items()))}")
        print(f" reached by links: {dict(sorted(linked.items()))}")
    assert code == 0, said
    assert f"Selected: {operations}/{operations}" in said
    assert f"Tested: {operations}" in said
    for phase in PHASES:
        assert f"✅ {phase}" in said
    assert statuses[202] > 100
    assert statuses[422] > 100
    # Which links it takes depends on when the jobs end; test_openapi sees that they all are there.
    assert len(linked) >= 5
    assert linked.total() >= 20
    assert not [status for status in statuses if status >= 500]


async def run(directory: Path, url: str, *arguments: str) -> tuple[int, str]:
    """Its exit code, and what it said."""
    (directory / "schemathesis.toml").write_text("[phases.stateful.generation]\nmax-examples = 120\n")
    schemathesis = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("st")),
        "run",
        url,
        *arguments,
        "--phases=examples,coverage,fuzzing,stateful",
        "--checks=all",
        "--max-examples=12",
        "--seed=1",
        "--no-shrink",
        "--no-color",
        "--workers=1",
        # Its own guesses at keys would stand before the one that is given; that keys are asked for it checks besides.
        "--generation-with-security-parameters=false",
        "--generation-database=none",
        f"--report-ndjson-path={directory / 'run.ndjson'}",
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(110):
            said, _ = await schemathesis.communicate()
    finally:
        if schemathesis.returncode is None:
            schemathesis.kill()
            await schemathesis.wait()
    return schemathesis.returncode or 0, said.decode()


def read(report: Path) -> tuple[Counter[int], Counter[str]]:
    """How often each status was answered, and how often each operation was reached by a link."""
    statuses: Counter[int] = Counter()
    linked: Counter[str] = Counter()
    for line in report.read_text("utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            if interaction["response"] is not None:
                statuses[interaction["response"]["status_code"]] += 1
        for case in recorder.get("cases", {}).values():
            transition = case.get("transition") or case["value"].get("transition")
            if transition is not None:
                linked[transition["id"].rpartition(" -> ")[2]] += 1
    return statuses, linked
