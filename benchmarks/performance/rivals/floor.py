"""The floor: the least that keeps a status and a result, two scripts on redis-py. It says what is possible here."""

import asyncio
import sys
import uuid

from bodies import ASYNC
from redis.asyncio import Redis

from rivals import CONCURRENCY, URL

NOTE = "no retries, leases or timeouts: what a crash interrupts is lost; results looked for each millisecond"
redis = Redis.from_url(URL, socket_timeout=None)
submit_script = redis.register_script("""
for i = 1, #ARGV, 2 do
  redis.call('HSET', ARGV[i], 'status', 'queued', 'body', ARGV[i + 1])
  redis.call('RPUSH', 'queue', ARGV[i])
end
redis.call('LPUSH', 'wake', 1)
redis.call('LTRIM', 'wake', 0, 7)""")
step_script = redis.register_script("""
for i = 2, #ARGV, 2 do redis.call('HSET', ARGV[i], 'status', 'complete', 'result', ARGV[i + 1]) end
local claimed = {}
for _, id in ipairs(redis.call('LPOP', 'queue', ARGV[1]) or {}) do
  redis.call('HSET', id, 'status', 'running')
  table.insert(claimed, {id, redis.call('HGET', id, 'body')})
end
return claimed""")


def workers(processes: int) -> list[list[str]]:
    return [[sys.executable, "-m", "rivals.floor"]] * processes


async def connect() -> None:
    await redis.ping()


async def submit(body: str) -> str:
    return (await bulk(body, 1))[0]


async def bulk(body: str, count: int) -> list[str]:
    ids = [str(uuid.uuid4()) for _ in range(count)]
    await submit_script(args=[text for id in ids for text in (id, body)])
    return ids


async def result(handle: str, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        while (found := await redis.hget(handle, "result")) is None:  # noqa: ASYNC110 (another process has it)
            await asyncio.sleep(0.001)
    return int(found)


async def close() -> None:
    await redis.aclose()


async def work() -> None:
    running: dict[asyncio.Task[int], bytes] = {}
    done: set[asyncio.Task[int]] = set()
    while True:
        told = [text for task in done for text in (running.pop(task), task.result())]
        claimed = await step_script(args=[CONCURRENCY - len(running), *told])
        running |= {asyncio.create_task(ASYNC[body.decode()]()): id for id, body in claimed}
        if running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        else:
            done = set()
            await redis.blpop(["wake"])


if __name__ == "__main__":
    asyncio.run(work())
