"""SAQ: workers by its command line, jobs by `Queue.enqueue`."""

import asyncio
from typing import Any

from ledger import run_async
from saq import Queue

from rivals import LONGEST, URL

COMMAND = ["bin/saq", "rivals.saq.settings"]
SILENCE = LONGEST + 5 + 30
NOTE = f"timeout={LONGEST + 5} s (10 by default), longer than a job; retries=3 (1); sweep each 30 s (60)"

queue = Queue.from_url(URL or "redis://localhost")


async def work(ctx: dict[str, Any], *, id: str, seconds: float, how: str) -> str:
    return await run_async(id, seconds, how)


settings = {"queue": queue, "functions": [work], "concurrency": 4, "timers": {"sweep": 30}}


def submit(ids: list[str], seconds: float, how: str) -> None:
    async def send() -> None:
        await queue.connect()
        for id in ids:
            await queue.enqueue("work", key=id, id=id, seconds=seconds, how=how, timeout=LONGEST + 5, retries=3)
        await queue.disconnect()

    asyncio.run(send())


def results(ids: list[str]) -> dict[str, str | None]:
    async def read() -> dict[str, str | None]:
        await queue.connect()
        jobs = {id: await queue.job(id) for id in ids}
        await queue.disconnect()
        return {id: job.result if job and job.status == "complete" else None for id, job in jobs.items()}

    return asyncio.run(read())
