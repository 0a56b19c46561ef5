"""streaQ: workers by its command line, jobs by `enqueue`, many by `enqueue_many`."""

from contextlib import AsyncExitStack
from typing import Any

from bodies import ASYNC
from streaq import Worker

from rivals import CONCURRENCY, FASTEST, URL

NOTE = "ttl=0: no result" if FASTEST else "defaults"

worker = Worker(redis_url=URL, concurrency=CONCURRENCY)
work = {name: worker.task(name=name, **({"ttl": 0} if FASTEST else {}))(body) for name, body in ASYNC.items()}
connection = AsyncExitStack()


def workers(processes: int) -> list[list[str]]:
    return [["bin/streaq", "run", "rivals.streaq:worker", "--workers", str(processes)]]


async def connect() -> None:
    await connection.enter_async_context(worker)


async def submit(body: str) -> Any:
    return await work[body].enqueue()


async def bulk(body: str, count: int) -> list[Any]:
    tasks = [work[body].enqueue() for _ in range(count)]
    await worker.enqueue_many(tasks)
    return tasks


async def result(handle: Any, seconds: float) -> int:
    return (await handle.result(timeout=int(seconds))).result


async def close() -> None:
    await connection.aclose()
