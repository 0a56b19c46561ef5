"""SIGKILL of the supervisor, alone and together with its children, and a new start on the same store."""

import asyncio
import json
from pathlib import Path

import pytest

from async_job.store.protocol import Store
from support.supervised import Program, alive

from .conftest import Client, short_lease, until

pytestmark = pytest.mark.realtime

SLACK = 5.0


@pytest.mark.parametrize("children_too", [True, False])
async def test_sigkill_of_everything_loses_nothing(
    store: Store,
    store_url: str,
    client: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    children_too: bool,
) -> None:
    settings = short_lease(store_url)
    program = Program(settings, tmp_path)
    recoveries = []
    with program:
        for _ in range(2):
            ids = [await client.submit(seconds=0.3) for _ in range(12)]
            await client.wait_for_start(ids[0])
            children = program.children()
            assert len(children) >= settings.workers
            if children_too:
                program.kill_all()
            else:
                program.kill()
            killed_at = asyncio.get_running_loop().time()
            await until(lambda pids=children: not any(alive(pid) for pid in pids), 2 + SLACK, "the end of all children")  # type: ignore[misc]
            program.start(ready=False)
            again = await client.wait_for_start(ids[0], attempt=2)
            recoveries.append(again.at - killed_at)
        await client.wait_for_all()
    verdict = await client.judge()
    with capsys.disabled():
        print("\n" + json.dumps({"fault": "SIGKILL of everything" if children_too else "SIGKILL of the supervisor",
            "store": store_url.split(":")[0], "recoveries": [round(one, 2) for one in recoveries],
            "verdict": str(verdict)}))  # fmt: skip
    assert verdict.clean, verdict
    assert await store.check() == []
    assert max(recoveries) < 2 * settings.lease + 1.5 + SLACK
