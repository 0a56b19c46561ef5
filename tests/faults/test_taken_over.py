"""A program that is gone for good: another one on the same store takes its jobs over."""

from pathlib import Path

import pytest

from async_job.core.job import State
from async_job.store.protocol import Store
from support import ledger
from support.bookkeeping import Client, short_lease
from support.supervised import Program

pytestmark = pytest.mark.realtime


async def test_another_program_takes_over_from_one_that_is_gone(
    store: Store, store_url: str, client: Client, tmp_path: Path
) -> None:
    settings = short_lease(store_url, workers=1)
    (tmp_path / "other").mkdir()
    with Program(settings, tmp_path) as gone:
        ids = [await client.submit(seconds=0.1, type="endless_at_first") for _ in range(3)]
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
