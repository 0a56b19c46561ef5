"""async-job itself, with everything switched on: workers by its command line, jobs by `submit`."""

from bodies import ASYNC

from async_job import Handle, Jobs
from rivals import CONCURRENCY, URL

NOTE = "defaults"

jobs = Jobs(store=URL)
work = {name: jobs.job(name=name)(body) for name, body in ASYNC.items()}


def workers(processes: int) -> list[list[str]]:
    return [["bin/async-job", "worker", "rivals.async_job:jobs", "--workers", str(processes),
             "--concurrency", str(CONCURRENCY)]]  # fmt: skip


async def connect() -> None:
    await jobs.store()


async def submit(body: str) -> Handle[int]:
    return await work[body].submit()


async def bulk(body: str, count: int) -> list[Handle[int]]:
    return await jobs.submit_many([work[body].request() for _ in range(count)])


async def result(handle: Handle[int], seconds: float) -> int:
    return await handle.result(seconds)


async def close() -> None:
    await jobs.close()
