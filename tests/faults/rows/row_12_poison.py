"""A job that kills itself, one that segfaults, and one that takes too much memory, among innocent long ones."""

from async_job.core.job import Job, State
from async_job.settings import GIB, MIB
from faults.result import RowResult, percentiles
from faults.scene import Scene
from support.bookkeeping import Client

LIMIT = 300.0
ALONE = True
INNOCENTS = 9
CRASHES = 5
POISONS = {"kill_itself": "SIGKILL", "segfault": "SIGSEGV", "take_memory": "worker_memory_limit"}
"""What the error has to name."""


async def run(scene: Scene) -> RowResult:
    limit = GIB if scene.scale.full else 150 * MIB
    innocents = scene.scale.times(INNOCENTS, short=2)
    settings = scene.settings(workers=1, concurrency=1 + INNOCENTS, worker_memory_limit=limit)
    recovery: dict[str, list[float]] = {}
    async with scene.client() as client:
        with scene.program(settings, "support.poison:jobs"):
            for poison in POISONS:
                recovery[poison] = await _poison(scene, client, poison, innocents)
        every = [seconds for measured in recovery.values() for seconds in measured]
        extra = {poison: percentiles(measured) for poison, measured in recovery.items()}
        return await scene.result(client, recovery=every, may_end={State.SUCCEEDED, State.FAILED}, extra=extra)


async def _poison(scene: Scene, client: Client, poison: str, innocents: int) -> list[float]:
    """All run in one process when it dies, and nobody knows which it was. Seconds until the innocents run again."""
    ids = [await client.submit(seconds=2 * scene.scale.lease) for _ in range(innocents)]
    for id in ids:
        await client.wait_for_start(id, timeout=scene.scale.patience)
    poisonous = await client.submit(seconds=60.0, type=poison)
    begun = await client.wait_for_start(poisonous)
    await client.wait_for_all(2 * scene.scale.patience)
    guilty, *others = [job for job in await client.store.get([poisonous, *ids]) if job is not None]
    _judge_guilty(scene, guilty, POISONS[poison])
    for job in others:
        scene.demand(job.state is State.SUCCEEDED, f"{poison}: an innocent {job.state}: {job.error}")
        scene.demand(not job.crashes and not job.failures, f"{poison}: an innocent was charged: {job.attempts}")
        scene.demand(job.attempt == 2, f"{poison}: an innocent ran {job.attempt} times, not twice")
    died_at = next(line.at for line in client.faults if line.pid == begun.pid and line.at >= begun.at)
    again = [client.started(id, attempt=2) for id in ids]
    return [line.at - died_at for line in again if line is not None]


def _judge_guilty(scene: Scene, job: Job, named: str) -> None:
    says = job.error.message if job.error is not None else ""
    scene.demand(job.state is State.FAILED, f"{job.type} {job.state}")
    scene.demand(named in says, f"{job.type} failed without a word of {named}: {says}")
    scene.demand(job.crashes <= CRASHES, f"{job.type} was charged {job.crashes} crashes")
    memory = {attempt.reason == "memory" for attempt in job.attempts}
    scene.demand(memory == {job.type == "take_memory"}, f"{job.type} came back with {job.attempts}")
