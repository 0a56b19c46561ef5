"""SIGSTOP of a worker with its supervisor past its lease at four points of a job's life, then SIGCONT; and alone."""

import asyncio
import time

from faults.result import RowResult, percentiles
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.ledger import Line
from support.supervised import Program

LIMIT = 420.0
ALONE = True
POINTS = ("claim", "running", "before apply", "inside apply")
TIMES = 3
ZOMBIE_STOPS = 1.5


async def run(scene: Scene) -> RowResult:
    lease, slack = scene.scale.lease, scene.scale.slack
    settings = scene.settings(workers=1, stall_timeout=2 * lease)
    recovery: list[float] = []
    zombies: list[float] = []
    async with scene.client() as client:
        with scene.program(settings, "support.harmed:jobs"), scene.program(settings, "support.harmed:jobs"):
            for _ in range(scene.scale.times(TIMES, short=1)):
                for point in POINTS:
                    await _past_the_lease(scene, client, point, recovery, zombies)
        with scene.program(settings) as program:
            killed = [await _child_alone(scene, client, program) for _ in range(scene.scale.times(TIMES, short=1))]
        slowest = percentiles(zombies).get("max", 0.0)
        scene.demand(slowest <= ZOMBIE_STOPS + slack, f"a zombie ran for {slowest} s, at most 1.5 s was promised")
        # Signs of life come once a second, and are looked at as often.
        bound = settings.stall_timeout + 2.0
        scene.demand(
            max(killed) <= bound + slack, f"a stopped child lived for {max(killed):.1f} s, {bound:g} s at most"
        )
        extra = {"zombie_stops": percentiles(zombies), "stopped_child_replaced": percentiles(killed)}
        return await scene.result(client, recovery=recovery, extra=extra)


async def _past_the_lease(
    scene: Scene, client: Client, point: str, recovery: list[float], zombies: list[float]
) -> None:
    """One of two programs is stopped; the other takes its job over, and the first wakes up."""
    if point == "running":
        id = await client.submit(seconds=2.5 * scene.scale.lease, type="talk")
        pid = (await client.wait_for_start(id)).pid
        supervisor = _parent(pid)
        scene.stop(supervisor, pid)
    else:
        before = len(client.faults)
        scene.arm(point, "stop")
        id = await client.submit(seconds=0.3)
        await until(lambda: len(client.faults) >= before + 2, what=f"a stop at {point}")
        supervisor, pid = (line.pid for line in client.faults[before:])
    stopped_at = client.faults[-1].at
    # Within a transaction it holds the only lock that SQLite has, and nobody can take anything over.
    holds_lock = point == "inside apply" and scene.store == "sqlite"
    if holds_lock or point == "inside apply":
        await asyncio.sleep(3 * scene.scale.lease)
    else:
        again = await client.wait_for_start(id, 2, scene.scale.patience)
        recovery.append(again.at - stopped_at)
    scene.resume(supervisor, pid)
    resumed_at = time.monotonic()
    if point == "running":
        stopped = await _line(client, "stopped", id, 1)
        zombies.append(max(0.0, stopped.at - resumed_at))
    await client.wait_for_all(scene.scale.patience)
    if point == "running":
        said = [int(line.message) for line in await client.store.log(id)]
        scene.demand(said == sorted(said), f"{id}: attempt 1 wrote to the log after attempt 2 had begun")


async def _child_alone(scene: Scene, client: Client, program: Program) -> float:
    """First for less than the stall timeout, which harms nobody; then for good."""
    id = await client.submit(seconds=1.5 * scene.scale.lease)
    pid = (await client.wait_for_start(id)).pid
    scene.stop(pid)
    await asyncio.sleep(1.2 * scene.scale.lease)
    scene.resume(pid)
    await client.wait_for_all(scene.scale.patience)
    [job] = await client.store.get([id])
    scene.demand(job is not None and job.attempt == 1, f"{id} was taken from a supervisor that was alive")
    id = await client.submit(seconds=0.5)
    pid = (await client.wait_for_start(id)).pid
    scene.stop(pid)
    stopped_at = client.faults[-1].at
    again = await client.wait_for_start(id, 2, scene.scale.patience + 2 * scene.scale.lease)
    await client.wait_for_all(scene.scale.patience)
    await until(lambda: len(program.workers()) == 1)
    return again.at - stopped_at


async def _line(client: Client, what: str, id: str, attempt: int) -> Line:
    def found() -> Line | None:
        return next((line for line in client.book.lines if line[:3] == (what, id, attempt)), None)

    await until(found, what=f"{what} {id}")
    line = found()
    assert line is not None
    return line


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
