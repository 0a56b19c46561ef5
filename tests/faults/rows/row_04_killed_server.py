"""SIGKILL of the HTTP process under load: what it acknowledged is there, and it comes back on its port."""

import asyncio
import os
import time

from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import until
from support.poster import Poster
from support.supervised import Program

LIMIT = 400.0
KILLS = 100
CLIENTS = 4


async def run(scene: Scene) -> RowResult:
    recovery: list[float] = []
    async with scene.client() as client:
        with scene.program(serve=True) as program:
            async with Poster(program.port, scene.history, scene.scale.patience) as poster:
                posting = [asyncio.create_task(poster.submit_on(0.02)) for _ in range(CLIENTS)]
                for _ in range(scene.scale.times(KILLS)):
                    await asyncio.sleep(0.3)
                    recovery.append(await _kill(scene, program))
                await asyncio.sleep(0.5)
                poster.finish()
                await asyncio.gather(*posting)
                scene.demand(not poster.server_errors, f"clients saw {poster.server_errors[:3]}")
                repeats = poster.repeats
            await client.wait_for_all(scene.scale.patience)
        return await scene.result(client, recovery=recovery, extra={"kills": len(recovery), "repeats": repeats})


async def _kill(scene: Scene, program: Program) -> float:
    """Seconds until something is acknowledged again."""
    await until(lambda: program.servers(), what="an HTTP process")
    [server] = program.servers()
    # It runs no jobs: a second run of one is not explained by its death.
    os.kill(server, 9)
    killed_at = time.monotonic()
    await until(lambda: program.servers() not in ([], [server]), what="another HTTP process")
    before = _acknowledged(scene)
    await until(lambda: _acknowledged(scene) > before, what="an acknowledgement")
    return time.monotonic() - killed_at


def _acknowledged(scene: Scene) -> int:
    return scene.history.read_bytes().count(b"\nok ")
