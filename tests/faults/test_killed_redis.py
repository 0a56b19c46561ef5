"""SIGKILL of Redis under submits, with `appendfsync always`, and restarts: some at once, one after several leases."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from async_job.store.open import make_store
from support.bookkeeping import Client, short_lease
from support.servers import Server
from support.supervised import Program

pytestmark = [pytest.mark.realtime, pytest.mark.store("redis")]

OUTAGES = (0.0, 0.5, 0.0, 3.5, 0.0)
"""Seconds between each kill and the restart; the lease is one second."""


async def test_sigkill_of_redis_loses_nothing_acknowledged(
    make_server: Callable[..., Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(appendonly=True, appendfsync="always")
    store = make_store(server.url)
    await store.open()
    client = Client(store, tmp_path / "ledger")

    async def submit_for_ever() -> None:
        while True:
            await asyncio.gather(*(client.submit(seconds=0.3) for _ in range(3)))
            await asyncio.sleep(0.05)

    with Program(short_lease(server.url), tmp_path) as program:
        submitting = asyncio.create_task(submit_for_ever())
        for outage in OUTAGES:
            await asyncio.sleep(0.7)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(outage)
            await asyncio.to_thread(server.restart)
        await asyncio.sleep(1)
        submitting.cancel()
        await asyncio.wait([submitting])
        await client.wait_for_all()
        verdict = await client.judge()
        jobs = await client.jobs()
        found = await store.check()
        text = program.text()
    await store.close()
    taken_over = sum(attempt.reason == "lease_lapsed" for job in jobs if job for attempt in job.attempts)
    with capsys.disabled():
        print("\n" + json.dumps({"fault": "SIGKILL of Redis", "store": "redis", "kills": len(OUTAGES),
            "taken_over": taken_over, "verdict": str(verdict)}))  # fmt: skip
    assert verdict.clean, verdict
    assert found == []
    # The workers lived all the while: nobody may have been taken for dead.
    assert taken_over == 0, text
    assert "a process died" not in text, text
