"""The reply of Redis is cut off after the work was done, at each step of a job's life."""

import asyncio
import json
from pathlib import Path

import pytest

from async_job.core.job import Job
from async_job.store.open import make_store
from async_job.store.redis.scripts import HASHES
from support.bookkeeping import Client, short_lease, until
from support.proxy import Proxy
from support.servers import Server
from support.supervised import Program

pytestmark = [pytest.mark.realtime, pytest.mark.store("redis")]

CUTS = 8


async def test_cut_replies_lose_strand_and_double_nothing(
    redis_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.flush()
    async with Proxy(redis_server.port) as proxy:
        store = make_store(proxy.url)
        await store.open()
        client = Client(store, tmp_path / "ledger")
        program = Program(short_lease(proxy.url), tmp_path)
        program.start(ready=False)
        try:
            await until(lambda: "\nready\n" in program.text(), what="the start")
            cuts = {}
            for step in ("submit", "claim", "apply"):
                before = proxy.cuts
                for _ in range(CUTS):
                    count = proxy.cuts
                    proxy.cut_next_reply(to=HASHES[step].encode())
                    await asyncio.gather(*(client.submit(seconds=0.05) for _ in range(4)))
                    await until(lambda count=count: proxy.cuts > count, what=f"a cut of {step}")  # type: ignore[misc]
                cuts[step] = proxy.cuts - before
            await client.wait_for_all()
            verdict = await client.judge()
            jobs = await client.jobs()
            assert await store.check() == []
        finally:
            await asyncio.to_thread(program.kill)
            await store.close()
    with capsys.disabled():
        print("\n" + json.dumps({"fault": "cut replies", "store": "redis", "cuts": cuts, "verdict": str(verdict)}))
    assert verdict.clean, verdict
    # No process has died and no lease lapsed, so each job has run once.
    assert verdict.explained == 0
    assert all(isinstance(job, Job) and job.attempt == 1 for job in jobs)
