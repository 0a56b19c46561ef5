"""SAQ: workers by its command line, jobs by `Queue.enqueue`."""

from typing import Any

from bodies import ASYNC
from saq import Job, Queue

from rivals import CONCURRENCY, FASTEST, URL

NOTE = "ttl=-1: neither status nor result is kept" if FASTEST else "defaults"

queue = Queue.from_url(URL)


def _make(name: str) -> tuple[str, Any]:
    async def work(ctx: dict[str, Any]) -> int:
        return await ASYNC[name]()

    return name, work


settings = {"queue": queue, "functions": [_make(name) for name in ASYNC], "concurrency": CONCURRENCY}


def workers(processes: int) -> list[list[str]]:
    return [["bin/saq", "rivals.saq.settings", "--workers", str(processes), "--quiet"]]


async def connect() -> None:
    await queue.connect()


async def submit(body: str) -> Job | None:
    return await queue.enqueue(body, **({"ttl": -1} if FASTEST else {}))


async def result(handle: Job, seconds: float) -> int | None:
    await handle.refresh(until_complete=seconds)
    await handle.refresh()
    return handle.result


async def close() -> None:
    await queue.disconnect()
