"""streaQ: workers by its command line, jobs by `enqueue`."""

import asyncio

from ledger import run_async
from streaq import StreaqError, Worker
from streaq.task import TaskStatus

from rivals import LONGEST, URL

COMMAND = ["bin/streaq", "run", "rivals.streaq:worker"]
SILENCE = 10
NOTE = "idle_timeout=10 s (60 by default), renewed while a job runs"

worker = Worker(redis_url=URL or "redis://localhost", concurrency=4, idle_timeout=10)


@worker.task(timeout=LONGEST + 5)
async def work(id: str, seconds: float, how: str) -> str:
    return await run_async(id, seconds, how)


def task(id: str, *arguments: object):
    made = work.enqueue(*arguments)
    made.id = id
    return made


def submit(ids: list[str], seconds: float, how: str) -> None:
    async def send() -> None:
        async with worker:
            for id in ids:
                await task(id, id, seconds, how)

    asyncio.run(send())


def results(ids: list[str]) -> dict[str, str | None]:
    async def result(id: str) -> str | None:
        if await worker.status_by_id(id) != TaskStatus.DONE:
            return None
        try:
            return (await worker.result_by_id(id, timeout=1)).result
        except (StreaqError, TimeoutError):
            return None

    async def read() -> dict[str, str | None]:
        async with worker:
            return {id: await result(id) for id in ids}

    return asyncio.run(read())
