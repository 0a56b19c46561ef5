"""SIGKILL of Redis with `appendfsync always` under load, an outage of three leases, and scripts lost all the time."""

import asyncio
import time

import redis.asyncio

from async_job.errors import StoreUnavailable
from faults.result import RowResult, percentiles
from faults.scene import Scene
from support.bookkeeping import Client
from support.servers import Server

STORES = ("redis",)
LIMIT = 240.0
KILLS = 20


async def run(scene: Scene) -> RowResult:
    server = scene.redis(appendonly=True, appendfsync="always")
    recovery: list[float] = []
    async with scene.client(server.url) as client:
        with scene.program(scene.settings(store=server.url)) as program:
            submitting = [asyncio.create_task(_submit_for_ever(client)) for _ in range(3)]
            for n in range(scene.scale.times(KILLS, short=4)):
                await asyncio.sleep(0.7)
                recovery.append(await _outage(client, server, 0.5 if n % 3 == 1 else 0.0))
            await _outage(client, server, 3.2 * scene.scale.lease)
            flushes = await _flush(server, for_seconds=10.0 if scene.scale.full else 2.0)
            for task in submitting:
                task.cancel()
            await asyncio.wait(submitting)
            refused = [str(task.exception()) for task in submitting if not task.cancelled()]
            await client.wait_for_all(scene.scale.patience)
            text = program.text()
            jobs = await client.jobs()
        taken_over = sum(ended.reason == "lease_lapsed" for job in jobs if job for ended in job.attempts)
        # The workers lived all the while: nobody may have been taken for dead.
        scene.demand(taken_over == 0, f"{taken_over} live jobs were taken over")
        scene.demand("a process died" not in text, "a process died of it")
        scene.demand("NOSCRIPT" not in text and not refused, f"users saw {refused or 'NOSCRIPT in the log'}")
        extra = {"outages": len(recovery) + 1, "flushes": flushes, "taken_over": taken_over}
        return await scene.result(client, recovery=recovery, extra={**extra, "first_success": percentiles(recovery)})


async def _submit_for_ever(client: Client) -> None:
    while True:
        await client.submit(seconds=0.3)
        await asyncio.sleep(0.05)


async def _outage(client: Client, server: Server, seconds: float) -> float:
    """Seconds from the moment when the server answers again to the first submit that is acknowledged."""
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.restart)
    back_at = time.monotonic()
    before = sum(line.what == "ok" for line in client.book.lines)
    end = back_at + client.patience
    while time.monotonic() < end:
        acknowledged = [line for line in client.book.lines if line.what == "ok"]
        if len(acknowledged) > before:
            return max(0.0, acknowledged[before].at - back_at)
        await asyncio.sleep(0.01)
    raise StoreUnavailable(f"no submit was acknowledged within {client.patience:g} s of the restart")


async def _flush(server: Server, for_seconds: float) -> int:
    """Takes the scripts away each 100 ms."""
    flushes, end = 0, time.monotonic() + for_seconds
    async with redis.asyncio.Redis.from_url(server.url) as admin:
        while time.monotonic() < end:
            await admin.script_flush()
            flushes += 1
            await asyncio.sleep(0.1)
    return flushes
