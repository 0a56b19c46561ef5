"""A job that swallows its cancellation, a thread and a process that loop for ever: ended when their time is up."""

import asyncio

from async_job.core.job import State
from async_job.worker.active import KILL_AFTER
from faults.result import RowResult, joined, percentiles
from faults.scene import Scene
from support.bookkeeping import Client

LIMIT = 300.0
KINDS = ("stubborn", "loop_in_thread", "ignore_signals")
TIMEOUT = 2.0
"""Long enough for a child process to start in, on a busy machine."""
BOUND = KILL_AFTER + 2.0
"""From the end of a run's time to its end: it is asked, then killed."""
TIMES = 10
SLOTS = 4


async def run(scene: Scene) -> RowResult:
    """The kinds are played side by side, each with a store of its own."""
    parts = [scene.part(kind) for kind in KINDS]
    results = await asyncio.gather(*(_part(part, kind) for part, kind in zip(parts, KINDS, strict=True)))
    return joined(dict(zip(KINDS, results, strict=True)))


async def _part(scene: Scene, kind: str) -> RowResult:
    late: list[float] = []
    async with scene.client() as client:
        with scene.program(scene.settings(workers=1, concurrency=SLOTS), "support.poison:jobs"):
            for _ in range(scene.scale.times(TIMES, short=1)):
                late += await _deaf(scene, client, kind)
        scene.demand(
            max(late) <= BOUND + scene.scale.slack, f"killed {max(late):.2f} s after its time, {BOUND} allowed"
        )
        ended = {State.SUCCEEDED, State.FAILED}
        return await scene.result(client, may_end=ended, extra={"seconds_after_its_time": percentiles(late)})


async def _deaf(scene: Scene, client: Client, kind: str) -> list[float]:
    """Twice it runs: among neighbours, then alone if its process had to be killed for it. Then all slots are there."""
    neighbour = await client.submit(seconds=1.0 + TIMEOUT + KILL_AFTER, type="long_at_first")
    await client.wait_for_start(neighbour)
    deaf = await client.submit(seconds=60.0, type=kind, timeout=round(TIMEOUT * 1000), max_attempts=2)
    await client.wait_for_all(4 * BOUND + scene.scale.patience)
    scene.demand(client.started(deaf), f"{kind} never began")
    together = [await client.submit(seconds=1.0) for _ in range(SLOTS)]
    for id in together:
        await client.wait_for_start(id, timeout=scene.scale.patience)
    ended = [line for line in client.book.lines if line.what == "end" and line.id in together]
    scene.demand(not ended or scene.scale.slack, f"{len(ended)} slots were not there")
    await client.wait_for_all(scene.scale.patience)
    guilty, *others = [job for job in await client.store.get([deaf, neighbour, *together]) if job is not None]
    error = guilty.error
    scene.demand(guilty.state is State.FAILED and error is not None, f"{kind} {guilty.state} ({guilty.reason})")
    scene.demand(error is not None and error.kind == "timeout", f"{kind} failed by {error}")
    for job in others:
        charged = job.failures or job.crashes or job.state is not State.SUCCEEDED
        scene.demand(not charged, f"a neighbour of {kind} {job.state} after {job.attempts}")
    return [(attempt.ended_at - attempt.started_at) / 1000 - TIMEOUT for attempt in guilty.attempts]
