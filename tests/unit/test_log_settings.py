"""The settings that limit a job's log reach every store."""

import uuid

from async_job import Jobs
from async_job.core.job import LogLine
from async_job.core.lifecycle import Released
from async_job.store.protocol import Beat
from support.jobs import read, run, tell

LINES = [LogLine(n, f"line {n}") for n in range(5)]


async def test_the_settings_say_how_much_is_kept(store_url: str) -> None:
    namespace = f"test-{uuid.uuid4().hex}"
    async with Jobs(store=store_url, namespace=namespace, job_log_lines=3, job_log_bytes=10) as jobs:
        store = await jobs.store()
        (job,) = await run(store, "a")
        await store.report([Beat("a", "w:1", log=tuple(LINES))])
        assert await store.log("a") == [LINES[4]]
        await tell(store, job, Released("w:1", log=tuple(LogLine(n, "") for n in range(4))))
        assert await store.log("a") == [LogLine(n, "") for n in (1, 2, 3)]
        assert (await read(store, "a")).logged == len(LINES) + 4
