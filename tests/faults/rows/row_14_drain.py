"""SIGTERM while jobs run, a second SIGTERM, and SIGTERM at a claim and at an outcome: nobody is charged."""

import asyncio
import signal
import time
from collections import Counter

from async_job.core.job import Job
from faults.result import RowResult, joined, percentiles
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.supervised import Program

LIMIT = 400.0
ALONE = True
TIMES = 50
GRACE = 1.0
OVERSTAY = 1.0


async def run(scene: Scene) -> RowResult:
    """The four are played side by side, each with a store of its own."""
    hows = ("running", "twice", "claim", "outcome")
    parts = [scene.part(how) for how in hows]
    results = await asyncio.gather(*(_part(part, how) for part, how in zip(parts, hows, strict=True)))
    return joined(dict(zip(hows, results, strict=True)))


async def _part(scene: Scene, how: str) -> RowResult:
    exits = []
    async with scene.client() as client:
        program = scene.program(scene.settings(grace=GRACE, workers=1))
        for _ in range(scene.scale.times(TIMES, short=1)):
            await asyncio.to_thread(program.start)
            exits.append(await _drain(client, program, how))
        await asyncio.to_thread(program.start)
        await client.wait_for_all(2 * scene.scale.patience)
        await asyncio.to_thread(program.kill)
        jobs = [job for job in await client.jobs() if job is not None]
        charged = [job.id for job in jobs if job.failures or job.crashes]
        scene.demand(not charged, f"{len(charged)} jobs were charged with a failure or a crash: {charged[:3]}")
        bound = GRACE + OVERSTAY
        scene.demand(max(exits) <= bound + scene.scale.slack, f"an exit took {max(exits):.2f} s, {bound:g} s promised")
        extra = {"exits": len(exits), "seconds": percentiles(exits), "ended_by": _reasons(jobs)}
        return await scene.result(client, extra=extra)


async def _drain(client: Client, program: Program, how: str) -> float:
    match how:
        case "running" | "twice":
            # One ends within the grace, the other goes back.
            ids = [await client.submit(seconds=seconds) for seconds in (0.5, 3.0)]
            for id in ids:
                await until(lambda id=id: _starts(client, id), what=f"the start of {id}")  # type: ignore[misc]
        case "claim":
            await asyncio.gather(*(client.submit() for _ in range(8)))
        case "outcome":
            id = await client.submit(seconds=0.1)
            await until(lambda: _ends(client, id), what=f"the end of {id}")
    asked_at = time.monotonic()
    program.signal(signal.SIGTERM)
    if how == "twice":
        await asyncio.sleep(0.1)
        program.signal(signal.SIGTERM)
    code = await asyncio.to_thread(program.wait)
    assert code == 0, program.text()
    return time.monotonic() - asked_at


def _starts(client: Client, id: str) -> int:
    return sum(line.what == "start" and line.id == id for line in client.book.lines)


def _ends(client: Client, id: str) -> int:
    return sum(line.what == "end" and line.id == id for line in client.book.lines)


def _reasons(jobs: list[Job]) -> dict[str, int]:
    return dict(Counter(ended.reason for job in jobs for ended in job.attempts))
