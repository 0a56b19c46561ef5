"""taskiq with taskiq-redis: the broker on streams, which acknowledges, and workers by its command line."""

import asyncio

from ledger import run_async
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker
from taskiq_redis.exceptions import ResultIsMissingError

from rivals import LONGEST, URL

COMMAND = ["bin/taskiq", "worker", "rivals.taskiq:broker", "--workers", "1", "--max-async-tasks", "4"]
SILENCE = LONGEST + 5
NOTE = f"idle_timeout={LONGEST + 5} s (600 by default), longer than a job; unacknowledged_lock_timeout=5 s (none)"

broker = RedisStreamBroker(
    url=URL or "redis://localhost", idle_timeout=(LONGEST + 5) * 1000, unacknowledged_lock_timeout=5
).with_result_backend(RedisAsyncResultBackend(redis_url=URL or "redis://localhost"))


@broker.task
async def work(id: str, seconds: float, how: str) -> str:
    return await run_async(id, seconds, how)


def submit(ids: list[str], seconds: float, how: str) -> None:
    async def send() -> None:
        await broker.startup()
        for id in ids:
            await work.kicker().with_task_id(id).kiq(id, seconds, how)
        await broker.shutdown()

    asyncio.run(send())


def results(ids: list[str]) -> dict[str, str | None]:
    async def result(id: str) -> str | None:
        try:
            return (await broker.result_backend.get_result(id)).return_value
        except ResultIsMissingError:
            return None

    async def read() -> dict[str, str | None]:
        await broker.result_backend.startup()
        found = {id: await result(id) for id in ids}
        await broker.result_backend.shutdown()
        return found

    return asyncio.run(read())
