"""SIGKILL of the supervisor, with all its children and alone, and a new start."""

import time

from faults.result import RowResult, percentiles
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.supervised import Program, alive

LIMIT = 300.0
ALONE = True
TIMES = 5
ORPHANS_END = 2.0


async def run(scene: Scene) -> RowResult:
    lease, slack = scene.scale.lease, scene.scale.slack
    recovery: list[float] = []
    orphaned: list[float] = []
    async with scene.client() as client:
        with scene.program() as program:
            for _ in range(scene.scale.times(TIMES, short=1)):
                for alone in (False, True):
                    await _once(scene, client, program, alone, recovery, orphaned)
        longest, orphans = percentiles(recovery)["max"], percentiles(orphaned)["max"]
        bound = 2 * lease + 1.5
        scene.demand(longest <= bound + slack, f"recovery took {longest} s, at most {bound:g} s was promised")
        scene.demand(orphans <= ORPHANS_END + slack, f"orphans lived for {orphans} s, at most 2 s was promised")
        return await scene.result(client, recovery=recovery, extra={"kills": len(recovery), "longest_orphan": orphans})


async def _once(
    scene: Scene, client: Client, program: Program, alone: bool, recovery: list[float], orphaned: list[float]
) -> None:
    ids = [await client.submit(seconds=1.0) for _ in range(16)]
    await client.wait_for_start(ids[0])
    children = program.children()
    scene.note("fault", "SIGKILL", program.pid, *children)
    killed_at = time.monotonic()
    if alone:
        program.kill()
    else:
        program.kill_all()
    await until(lambda: not any(alive(pid) for pid in children), what="the end of all children")
    orphaned.append(time.monotonic() - killed_at)
    # What they began meanwhile ended with them.
    scene.note("fault", "SIGKILL", *children)
    program.start(ready=False)
    again = await client.wait_for_start(ids[0], attempt=2, timeout=scene.scale.patience)
    recovery.append(again.at - killed_at)
    await client.wait_for_all(scene.scale.patience)
