"""SIGKILL of the supervisor, alone and together with its children, and a new start on the same store."""

import asyncio
import json
from pathlib import Path

import pytest

from async_job.core.job import State
from async_job.store.protocol import Store
from support import ledger
from support.bookkeeping import Client, short_lease, until
from support.supervised import Program, alive

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
    with Program(settings, tmp_path) as program:
        ids = [await client.submit(seconds=0.3) for _ in range(20)]
        await client.wait_for_start(ids[0])
        children = program.children()
        assert len(children) >= settings.workers
        if children_too:
            program.kill_all()
        else:
            program.kill()
        killed_at = asyncio.get_running_loop().time()
        await until(lambda: not any(alive(pid) for pid in children), 2 + SLACK, "the end of all children")
        program.start(ready=False)
        recovery = (await client.wait_for_start(ids[0], attempt=2)).at - killed_at
        await client.wait_for_all()
    verdict = await client.judge()
    with capsys.disabled():
        print("\n" + json.dumps({"fault": "SIGKILL of everything" if children_too else "SIGKILL of the supervisor",
            "store": store_url.split(":")[0], "recovery": round(recovery, 2), "verdict": str(verdict)}))  # fmt: skip
    assert verdict.clean, verdict
    assert await store.check() == []
    assert recovery < 2 * settings.lease + 1.5 + SLACK


async def test_another_program_takes_over_from_one_that_is_gone(
    store: Store, store_url: str, client: Client, tmp_path: Path
) -> None:
    settings = short_lease(store_url, workers=1)
    (tmp_path / "other").mkdir()
    with Program(settings, tmp_path) as gone:
        ids = [await client.submit(seconds=3) for _ in range(3)]
        for id in ids:
            await client.wait_for_start(id)
        with Program(settings, tmp_path / "other") as other:
            gone.kill_all()
            await client.wait_for_all()
            runs = [line for line in ledger.read(other.ledger) if line.what == "end"]
    assert sorted(line.id for line in runs) == sorted(ids)
    for job in await client.jobs():
        assert job is not None
        assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 2, 1)
        assert job.attempts[0].reason == "lease_lapsed"
    assert await store.check() == []
