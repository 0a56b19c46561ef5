"""Programs of this version and the one before it, mixed and replaced by each other under load.

Nothing is released yet, so the version before is this one under another number: what is tried is that programs may be
replaced while others go on, and that a program keeps its hands off a store that a newer one has written. From the first
release on, that release takes the place of the earlier program.
"""

import asyncio
import signal

import apsw
import redis

from faults.result import RowResult
from faults.scene import Scene
from support.poster import Poster
from support.servers import free_port
from support.supervised import Program

LIMIT = 240.0
ROUNDS = 5
EARLIER = "0.0.0"


async def run(scene: Scene) -> RowResult:
    ports = {version: free_port() for version in (EARLIER, "")}
    seen: set[str] = set()

    def start(version: str) -> Program:
        """With HTTP, on the port that programs of its version have."""
        settings = scene.settings(workers=1, grace=2.0)
        return scene.program(settings, serve=True, port=ports[version], version=version).start()

    async with scene.client() as client:
        running = {version: start(version) for version in ports}
        async with Poster(ports[EARLIER], scene.history, scene.scale.patience) as poster:
            posting = [asyncio.create_task(poster.submit_on(0.2, seconds=0.3)) for _ in range(4)]
            for _ in range(scene.scale.times(ROUNDS, short=1)):
                for version, other in ((EARLIER, ""), ("", EARLIER)):
                    await asyncio.sleep(1.0)
                    seen |= {info.worker.version for info in await client.store.administration.workers()}
                    poster.port = ports[other]
                    running[version].signal(signal.SIGTERM)
                    code = await asyncio.to_thread(running[version].wait)
                    scene.demand(code == 0, f"a program of version {version or 'now'} ended with {code}")
                    running[version] = await asyncio.to_thread(start, version)
            poster.finish()
            await asyncio.gather(*posting)
            scene.demand(not poster.server_errors, f"clients saw {poster.server_errors[:3]}")
        await client.wait_for_all(scene.scale.patience)
        for program in running.values():
            await asyncio.to_thread(program.kill_all)
        scene.demand(EARLIER in seen and len(seen) == 2, f"workers said that they are of {sorted(seen)}")
        jobs = [job for job in await client.jobs() if job is not None]
        charged = [job.id for job in jobs if job.failures or job.crashes]
        scene.demand(not charged, f"charged: {charged[:3]}")
        result = await scene.result(client, extra={"versions": sorted(seen), "refused_newer_schema": True})
    await _newer_schema(scene, result)
    return result


async def _newer_schema(scene: Scene, result: RowResult) -> None:
    """A program that finds the store written by a newer one stops at its start, and says so."""
    if scene.store == "sqlite":
        with apsw.Connection(scene.url.removeprefix("sqlite:///")) as database:
            database.execute("UPDATE meta SET value = value + 1 WHERE key = 'schema'")
    else:
        with redis.Redis.from_url(scene.url) as admin:
            [schema] = admin.keys("*schema")
            admin.incr(schema)
    program = scene.program().start(ready=False)
    code = await asyncio.to_thread(program.wait)
    if code != 2 or "newer" not in program.text():
        result.passed = False
        result.why.append(f"a store of a newer version was not refused: exit code {code}, {program.text()[-300:]}")
