"""SIGKILL of a worker process in the middle of its jobs."""

from faults.result import RowResult, percentiles
from faults.scene import Scene

KILLS = 200
LIMIT = 600.0
ALONE = True
BOUND = 1.0


async def run(scene: Scene) -> RowResult:
    recovery = []
    async with scene.client() as client:
        with scene.program():
            for _ in range(scene.scale.times(KILLS)):
                ids = [await client.submit(seconds=0.3) for _ in range(2)]
                start = await client.wait_for_start(ids[0])
                await client.wait_for_start(ids[1])
                scene.kill(start.pid)
                again = await client.wait_for_start(ids[0], attempt=2, timeout=scene.scale.patience)
                recovery.append(again.at - client.faults[-1].at)
                # The next kill finds the program as this one did.
                await client.wait_for_all(scene.scale.patience)
        p95 = percentiles(recovery)["p95"]
        scene.demand(p95 <= BOUND + scene.scale.slack, f"recovery p95 {p95} s, at most {BOUND:g} s was promised")
        return await scene.result(client, recovery=recovery, extra={"kills": len(recovery)})
