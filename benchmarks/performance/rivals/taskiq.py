"""taskiq with taskiq-redis: the broker on streams, which acknowledges, and workers by its command line."""

from bodies import ASYNC
from taskiq import AsyncTaskiqTask
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from rivals import CONCURRENCY, FASTEST, POLL, URL

if FASTEST:
    NOTE = "ListQueueBroker without a result backend: no status, no result, and a killed worker loses its jobs"
    broker = ListQueueBroker(url=URL)
else:
    NOTE = f"RedisStreamBroker with RedisAsyncResultBackend; results looked for each {POLL:g} s (0.2)"
    broker = RedisStreamBroker(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL))

work = {name: broker.register_task(body, task_name=name) for name, body in ASYNC.items()}


def workers(processes: int) -> list[list[str]]:
    return [["bin/taskiq", "worker", "rivals.taskiq:broker", "--workers", str(processes),
             "--max-async-tasks", str(CONCURRENCY), "--log-level", "WARNING"]]  # fmt: skip


async def connect() -> None:
    await broker.startup()


async def submit(body: str) -> AsyncTaskiqTask[int]:
    return await work[body].kiq()


async def result(handle: AsyncTaskiqTask[int], seconds: float) -> int:
    return (await handle.wait_result(check_interval=POLL, timeout=seconds)).return_value


async def close() -> None:
    await broker.shutdown()
