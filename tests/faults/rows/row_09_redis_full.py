"""Redis at its `maxmemory` while 500 jobs run: submits are refused, leases and outcomes go through."""

import asyncio

import redis

from async_job.errors import StoreFull
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.servers import Server

STORES = ("redis",)
JOBS = 500


async def run(scene: Scene) -> RowResult:
    lease = scene.scale.lease
    jobs = scene.scale.times(JOBS, short=100)
    server = scene.redis()
    async with scene.client(server.url) as client:
        with scene.program(scene.settings(store=server.url, concurrency=jobs // 2)) as program:
            ids = await asyncio.gather(*(client.submit(seconds=3 * lease) for _ in range(jobs)))
            await until(lambda: _running(client) == jobs, scene.scale.patience, "the start of all jobs")
            await asyncio.to_thread(_fill, server)
            refused = [await _is_refused(client) for _ in range(20)]
            await client.wait_for_all(3 * lease + scene.scale.patience)
            await asyncio.to_thread(_set_maxmemory, server, 0)
            after = await client.submit()
            await client.wait_for_all(scene.scale.patience)
            text = program.text()
        stored = [job for job in await client.store.get(ids) if job is not None and job.done]
        scene.demand(all(refused), f"{refused.count(False)} of {len(refused)} submits were not refused")
        scene.demand(len(stored) == jobs, f"{jobs - len(stored)} outcomes were not stored")
        scene.demand(all(job.attempt == 1 for job in stored), "leases were lost")
        scene.demand("Traceback" not in text, "a process failed")
        [job] = await client.store.get([after])
        scene.demand(job is not None and job.done, "no job ran after there was room again")
        return await scene.result(client, extra={"refused": sum(refused), "outcomes_stored": len(stored)})


def _running(client: Client) -> int:
    return sum(line.what == "start" for line in client.book.lines)


def _fill(server: Server) -> None:
    with redis.Redis(port=server.port) as admin:
        used = int(admin.info("memory")["used_memory"])
        admin.config_set("maxmemory", used - 1)


def _set_maxmemory(server: Server, value: int) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.config_set("maxmemory", value)


async def _is_refused(client: Client) -> bool:
    try:
        await client.submit()
    except StoreFull:
        return True
    return False
