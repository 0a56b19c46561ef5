"""Results that cannot be stored, and exceptions that break whoever looks at them or have 100 MB to say."""

from async_job.core.job import ErrorKind, Job, State
from async_job.worker.failure import LONGEST_MESSAGE, LONGEST_TRACEBACK
from faults.result import RowResult
from faults.scene import Scene
from support.badly_ended import INVALID_RESULT, RUNNERS, WAYS

LIMIT = 300.0
MEGABYTES = 100
ELLIPSIS = 1


async def run(scene: Scene) -> RowResult:
    """All in one worker, which has to outlive them and to have its slots for those that follow."""
    input = b'{"megabytes":%d}' % scene.scale.times(MEGABYTES)
    async with scene.client() as client:
        with scene.program(
            scene.settings(workers=1, concurrency=2, processes=1), "support.badly_ended:jobs"
        ) as program:
            workers = program.workers()
            ids = {}
            for way in WAYS:
                for runner in RUNNERS:
                    type = f"{way.__name__}_{runner}"
                    ids[await client.submit(type=type, input=input, max_attempts=1)] = way in INVALID_RESULT
            await client.wait_for_all(LIMIT if scene.scale.full else 2 * scene.scale.patience)
            after = [await client.submit(seconds=0.5) for _ in range(2)]
            await client.wait_for_all(scene.scale.patience)
            scene.demand(program.workers() == workers, "the worker did not survive")
            scene.demand("Traceback" not in program.text(), "the worker had an error of its own")
        for job in await client.store.get(list(ids)):
            if job is not None:
                _judge(scene, job, ErrorKind.INVALID_RESULT if ids[job.id] else ErrorKind.APPLICATION)
        stored = await client.store.get(after)
        scene.demand(all(job is not None and job.state is State.SUCCEEDED for job in stored), "a slot was lost")
        return await scene.result(client, may_end={State.SUCCEEDED, State.FAILED}, extra={"ways": len(ids)})


def _judge(scene: Scene, job: Job, kind: ErrorKind) -> None:
    error = job.error
    if job.state is not State.FAILED or error is None:
        scene.demand(False, f"{job.type} {job.state} ({job.reason})")
        return
    scene.demand(error.kind is kind, f"{job.type} failed by {error.kind}: {error.message[:200]}")
    scene.demand(not job.crashes, f"{job.type} was charged {job.crashes} crashes: {error.message[:200]}")
    scene.demand(len(error.message) <= LONGEST_MESSAGE + ELLIPSIS, f"{job.type}: a message of {len(error.message)}")
    length = len(error.traceback)
    scene.demand(length <= LONGEST_TRACEBACK + ELLIPSIS, f"{job.type}: a traceback of {length}")
