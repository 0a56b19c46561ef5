"""arq: workers by its command line, jobs by `enqueue_job`."""

import asyncio
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from ledger import run_async

from rivals import LONGEST, URL

COMMAND = ["bin/arq", "rivals.arq.WorkerSettings"]
SILENCE = LONGEST + 5 + 10
NOTE = f"job_timeout={LONGEST + 5} s (300 by default), which has to be longer than a job; taken over 10 s after it"
SETTINGS = RedisSettings.from_dsn(URL or "redis://localhost")


async def work(ctx: dict[Any, Any], id: str, seconds: float, how: str) -> str:
    return await run_async(id, seconds, how)


class WorkerSettings:
    functions = [work]  # noqa: RUF012
    redis_settings = SETTINGS
    job_timeout = LONGEST + 5
    max_jobs = 4


def submit(ids: list[str], seconds: float, how: str) -> None:
    async def send() -> None:
        redis = await create_pool(SETTINGS)
        for id in ids:
            await redis.enqueue_job("work", id, seconds, how, _job_id=id)
        await redis.aclose()

    asyncio.run(send())


def results(ids: list[str]) -> dict[str, str | None]:
    async def read() -> dict[str, str | None]:
        redis = await create_pool(SETTINGS)
        infos = {id: await Job(id, redis).result_info() for id in ids}
        await redis.aclose()
        return {id: info.result if info and info.success else None for id, info in infos.items()}

    return asyncio.run(read())
