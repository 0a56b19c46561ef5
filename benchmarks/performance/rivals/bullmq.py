"""BullMQ for Python: a program of one's own that makes a `Worker`, jobs by `Queue.add` and `addBulk`."""

import asyncio
import signal

from bodies import ASYNC
from bullmq import Job, Queue, Worker

from rivals import CONCURRENCY, FASTEST, POLL, URL

OPTIONS = {"removeOnComplete": True} if FASTEST else {}
NOTE = f"nothing to wait for a result with: the job is read again each {POLL:g} s" + (
    "; removeOnComplete: neither status nor result is kept" if FASTEST else ""
)
queue: Queue


def workers(processes: int) -> list[list[str]]:
    return [["bin/python", "-m", "rivals.bullmq"]] * processes


async def connect() -> None:
    global queue
    queue = Queue("benchmark", {"connection": URL})


async def submit(body: str) -> str:
    return (await queue.add(body, {}, OPTIONS)).id


async def bulk(body: str, count: int) -> list[str]:
    return [job.id for job in await queue.addBulk([{"name": body, "data": {}, "opts": OPTIONS}] * count)]


async def result(handle: str, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        while (job := await Job.fromId(queue, handle)) is None or job.returnvalue is None:  # noqa: ASYNC110 (another process has it)
            await asyncio.sleep(POLL)
    return int(job.returnvalue)


async def close() -> None:
    await queue.close()


async def work() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    worker = Worker("benchmark", lambda job, token: ASYNC[job.name](), {"connection": URL, "concurrency": CONCURRENCY})
    await ended.wait()
    await worker.close()


if __name__ == "__main__":
    asyncio.run(work())
