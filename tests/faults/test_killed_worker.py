"""SIGKILL of a worker process in the middle of jobs, ten times."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from async_job.store.protocol import Store
from support.bookkeeping import Client, short_lease
from support.supervised import Program

pytestmark = pytest.mark.realtime

KILLS = 10


async def test_sigkill_of_a_worker_process_loses_nothing(
    store: Store, store_url: str, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recoveries = []
    with Program(short_lease(store_url), tmp_path):
        for _ in range(KILLS):
            ids = [await client.submit(seconds=0.7) for _ in range(2)]
            start = await client.wait_for_start(ids[0])
            await client.wait_for_start(ids[1])
            os.kill(start.pid, signal.SIGKILL)
            killed_at = asyncio.get_running_loop().time()
            again = await client.wait_for_start(ids[0], attempt=2)
            recoveries.append(again.at - killed_at)
            # The next kill finds the program as this one did.
            await client.wait_for_all()
    verdict = await client.judge()
    recoveries.sort()
    figures = {"p50": recoveries[KILLS // 2], "max": recoveries[-1]}
    with capsys.disabled():
        print("\n" + json.dumps({"fault": "SIGKILL of a worker", "store": store_url.split(":")[0], "kills": KILLS,
            **{name: round(figure, 3) for name, figure in figures.items()}, "verdict": str(verdict)}))  # fmt: skip
    assert verdict.clean, verdict
    assert await store.check() == []
    assert figures["max"] < 5
