"""arq: workers by its command line, jobs by `enqueue_job`."""

from typing import Any

from arq import create_pool, func
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job
from bodies import ASYNC

from rivals import CONCURRENCY, FASTEST, POLL, URL

LOOK = 0.01
NOTE = f"poll_delay={LOOK:g} s (0.5); " + (
    "keep_result=0: no result" if FASTEST else f"results looked for each {POLL:g} s (0.5)"
)
SETTINGS = RedisSettings.from_dsn(URL)
pool: ArqRedis


def _make(name: str) -> Any:
    async def work(ctx: dict[Any, Any]) -> int:
        return await ASYNC[name]()

    return func(work, name=name)


class WorkerSettings:
    functions = [_make(name) for name in ASYNC]  # noqa: RUF012
    redis_settings = SETTINGS
    max_jobs = CONCURRENCY
    poll_delay = LOOK
    keep_result = 0 if FASTEST else 3600


def workers(processes: int) -> list[list[str]]:
    return [["bin/arq", "rivals.arq.WorkerSettings"]] * processes


async def connect() -> None:
    global pool
    pool = await create_pool(SETTINGS)


async def submit(body: str) -> Job | None:
    return await pool.enqueue_job(body)


async def result(handle: Job, seconds: float) -> int:
    return await handle.result(seconds, poll_delay=POLL)


async def close() -> None:
    await pool.aclose()
