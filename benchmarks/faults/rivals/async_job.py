"""async-job itself, on Redis: workers by its command line, jobs by `submit`."""

import asyncio

from ledger import run_async

from async_job import Jobs
from async_job.errors import AsyncJobError
from rivals import URL

SILENCE = 10
COMMAND = ["bin/async-job", "worker", "rivals.async_job:jobs", "--workers", "1", "--concurrency", "4"]
NOTE = "lease=10 s (15 by default), renewed while the worker lives"

jobs = Jobs(store=URL, lease=SILENCE)


@jobs.job
async def work(id: str, seconds: float, how: str) -> str:
    return await run_async(id, seconds, how)


def submit(ids: list[str], seconds: float, how: str) -> dict[str, str]:
    async def send() -> dict[str, str]:
        async with jobs:
            return {id: (await work.submit(id, seconds, how)).id for id in ids}

    return asyncio.run(send())


def results(ids: list[str]) -> dict[str, str | None]:
    async def result(id: str) -> str | None:
        try:
            return await jobs.result(id, 0)
        except AsyncJobError:
            return None

    async def read() -> dict[str, str | None]:
        async with jobs:
            return {id: await result(id) for id in ids}

    return asyncio.run(read())
