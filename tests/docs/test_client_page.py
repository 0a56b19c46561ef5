"""The code of docs/client.md runs: the first block on a real server, each other one as a program that asks it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import Serving, environment
from support.documents import blocks

pytestmark = pytest.mark.realtime

APP, *BLOCKS = blocks("client.md")
SAYS = {
    'client.submit("resize", {"picture": "cat.jpg", "width": 320})': "{'name': 'cat.jpg', 'width': 320}\n",
    'client.submit(resize, "cat.jpg", width=320)': "320 PENDING\n",
    "InvalidInput": "$.width Expected `int`, got `str`\nFileNotFoundError missing.jpg\n",
    "Query": "True\n",
    "AsyncClient": "{'name': 'cat.jpg', 'width': 100}\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder: Path = tmp_path_factory.mktemp("client-page")
    (folder / "app.py").write_text(APP)
    with Serving("app:jobs", "--workers", "1", folder=folder) as server:
        yield server


def test_every_outcome_is_of_a_block() -> None:
    assert len(BLOCKS) >= 5
    for words in SAYS:
        assert len([block for block in BLOCKS if words in block]) == 1, words


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, server: Serving) -> None:
    program = block.replace("http://127.0.0.1:5079", server.url)
    assert program != block
    if "async def main()" in program:
        program += "\nimport asyncio\nasyncio.run(main())\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=server.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for words, says in SAYS.items():
        if words in block:
            assert ran.stdout.endswith(says)
