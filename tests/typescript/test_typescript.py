"""A TypeScript client that is generated from the document compiles, and drives a job from start to result."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from support.web import make_jobs, serve

HERE = Path(__file__).parent
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "drive.ts", "process.d.ts")


async def run(directory: Path, *command: str) -> str:
    """What the command says; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(90):
            said, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode() + errors.decode()
    return said.decode()


@pytest.mark.realtime
async def test_a_generated_client_drives_a_job(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Node.js with npm is missing")
    for name in SOURCES:
        shutil.copy(HERE / name, tmp_path)
    await run(tmp_path, npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    commands = tmp_path / "node_modules" / ".bin"
    async with serve(make_jobs("memory://"), worker=True) as site:
        document = await site.get("/openapi.json")
        (tmp_path / "openapi.json").write_bytes(document.content)
        await run(tmp_path, str(commands / "openapi-typescript"), "openapi.json", "--output", "schema.d.ts")
        await run(tmp_path, str(commands / "tsc"))
        said = await run(tmp_path, node, "out/drive.js", f"http://127.0.0.1:{site.port}")
    assert json.loads(said) == {
        "state": "succeeded",
        "sum": 42,
        "submitted": "add",
        "refused": "already_finished",
        "wrong": "invalid_input",
    }


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    assert all("resolved" not in package for package in lock["packages"].values())
    assert lock["packages"]["node_modules/typescript"]["version"].startswith("5.")
