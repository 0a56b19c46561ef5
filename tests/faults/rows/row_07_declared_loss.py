"""SIGKILL of Redis with `everysec`, and without an append-only file: what is lost is within what is declared."""

import asyncio
import time

import redis

from faults.result import RowResult, joined
from faults.scene import Scene
from support.bookkeeping import Client
from support.checker import FORGET
from support.ledger import EVERYTHING, Line
from support.servers import Server

STORES = ("redis",)
LIMIT = 180.0
KILLS = 5
EVERYSEC_LOSES = 2.0
"""Seconds of acknowledged writes, as is declared."""


async def run(scene: Scene) -> RowResult:
    everysec, snapshots = scene.part("everysec"), scene.part("snapshots")
    return joined(
        {
            "everysec": await _part(everysec, everysec.redis(appendonly=True, appendfsync="everysec"), saves=False),
            # A snapshot each hour, if anything was written: those that there are, are made here.
            "snapshots": await _part(snapshots, snapshots.redis(save="3600 1"), saves=True),
        }
    )


async def _part(scene: Scene, server: Server, saves: bool) -> RowResult:
    async with scene.client(server.url) as client:
        declared = (await client.store.health()).durability
        gone: list[int] = []
        with scene.program(scene.settings(store=server.url)):
            for _ in range(scene.scale.times(KILLS, short=2)):
                submitting = [asyncio.create_task(_submit_for_ever(client)) for _ in range(3)]
                await asyncio.sleep(1.5)
                if saves:
                    safe = time.monotonic()
                    await asyncio.to_thread(_save, server)
                    await asyncio.sleep(0.5)
                scene.note("fault", FORGET, EVERYTHING)
                killed_at = time.monotonic()
                await asyncio.to_thread(server.kill)
                for task in submitting:
                    task.cancel()
                await asyncio.wait(submitting)
                await asyncio.to_thread(server.restart)
                lost = await _lost(client)
                new = lost[sum(gone) :]
                gone.append(len(new))
                safe_until = safe if saves else killed_at - EVERYSEC_LOSES
                late = [line.id for line in new if line.at < safe_until]
                scene.demand(not late, f"acknowledged, declared as safe, and lost: {late[:3]} and {len(late)} in all")
                await client.wait_for_all(scene.scale.patience)
        extra = {"declared": declared, "acknowledged_lost": gone}
        return await scene.result(client, may_lose=sum(gone), extra=extra)


async def _submit_for_ever(client: Client) -> None:
    while True:
        await client.submit(seconds=0.1)
        await asyncio.sleep(0.06)


def _save(server: Server) -> None:
    with redis.Redis(port=server.port) as admin:
        admin.save()


async def _lost(client: Client) -> list[Line]:
    """What was acknowledged and is not there, in the order in which it was."""
    acknowledged = [line for line in client.book.lines if line.what == "ok"]
    jobs = await client.store.get([line.id for line in acknowledged])
    return [line for line, job in zip(acknowledged, jobs, strict=True) if job is None]
