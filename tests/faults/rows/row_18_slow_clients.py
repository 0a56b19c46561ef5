"""Clients that are slow with their headers, their bodies, or in reading, and 2,000 idle sockets."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from async_job.core.job import LogLine
from async_job.core.lifecycle import Succeeded
from async_job.ids import new_id
from async_job.store.protocol import Beat, ClaimId
from faults.result import RowResult, percentiles
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.jobs import make_worker, tell
from support.long_polls import memory
from support.poster import Poster

LIMIT = 240.0
ALONE = True
IDLE = 2_000
SLOW = 100
"""Of each other kind, and there are four."""
OTHERS = 4
PAUSE = 0.02
TIMES_ALONE = 2.0
KIB_IDLE = 30
KIB_SLOW = 500
"""So much memory a client may cost; whoever does not read, what was got ready for it."""
LINES, LINE, TALK_PAUSE = 20, 10_000, 0.25
FILL = 13.0
"""Seconds in which so long a log fills the buffers: each second a stream tells the newest 256 KiB of it."""
HOUR = 3_600_000
QUEUE = "elsewhere"
"""The program's workers do not serve it."""

Cut = dict[str, list[float | None]]


async def run(scene: Scene) -> RowResult:
    full = scene.scale.full
    deadline = 12.0 if full else 2.0
    slow, idle = (SLOW, IDLE) if full else (5, 100)
    settings = scene.settings(head_deadline=deadline, body_deadline=deadline, send_deadline=deadline)
    async with scene.client() as client:
        with scene.program(settings, serve=True) as program:
            async with _talkative(client) as id, Poster(program.port, scene.history, scene.scale.patience) as poster:
                alone = await _others(poster, deadline / 3)
                [server] = program.servers()
                files, before = _files(server), memory(server)
                clients = await _slow_clients(program.port, f"/v1/jobs/{id}/events", slow, idle, FILL if full else 0)
                # Until what fits into the buffers is sent, they are no slower than others.
                await asyncio.sleep(deadline / 6)
                beside = await _others(poster, deadline / 3)
                peak = memory(server)
                cut = await _cut(clients)
                await until(
                    lambda: _files(server) <= files + OTHERS, scene.scale.patience, "the end of all connections"
                )
                scene.demand(not poster.repeats, f"{poster.repeats} requests of others failed: {poster.server_errors}")
            scene.demand(program.servers() == [server], "the HTTP process was replaced")
            await client.wait_for_all(scene.scale.patience)
            scene.demand("Traceback" not in program.text(), "there was an error in the server")
        _judge(scene, cut, deadline)
        allowed = KIB_IDLE * idle + KIB_SLOW * 4 * slow + 10_000
        scene.demand(peak - before <= allowed, f"the server's memory rose by {peak - before} KiB, {allowed} at most")
        p99_alone, p99 = _p99(alone), _p99(beside)
        scene.demand(not full or p99 <= TIMES_ALONE * p99_alone, f"p99 of others {p99} ms, and {p99_alone} ms alone")
        extra = {
            "others": len(beside),
            "p99_alone_ms": p99_alone,
            "p99_ms": p99,
            "memory_kib": {"before": before, "beside": peak},
            "cut_after_s": {kind: percentiles([*filter(None, each)]) for kind, each in cut.items()},
        }
        return await scene.result(client, extra=extra)


def _judge(scene: Scene, cut: Cut, deadline: float) -> None:
    for kind, each in cut.items():
        scene.demand(None not in each, f"{each.count(None)} of {len(each)} were not cut: {kind}")
        # Whoever is deaf is cut when a whole deadline has passed in which it took nothing.
        longest = max(filter(None, each), default=0.0)
        bound = 2 * deadline + 1.0 + scene.scale.slack + (FILL if kind == "deaf_to_stream" else 0.0)
        scene.demand(longest <= bound, f"{kind}: cut after {longest} s, at most {bound:g} s was promised")


@asynccontextmanager
async def _talkative(client: Client) -> AsyncIterator[str]:
    """A job that runs, and says more in its log than the buffers between a server and a client hold."""
    store = client.store
    id = await client.submit(id=new_id(), queue=QUEUE)
    await store.enroll(make_worker(), HOUR)
    [job] = (await store.claim(ClaimId("w", 1), (QUEUE,), 1)).jobs
    client.note("start", id, job.attempt)

    async def talk_on() -> None:
        while True:
            await store.report([Beat(id, job.token or "", log=(LogLine(1, "x" * LINE),) * LINES)])
            await asyncio.sleep(TALK_PAUSE)

    talking = asyncio.create_task(talk_on())
    try:
        yield id
    finally:
        talking.cancel()
        await asyncio.wait([talking])
        client.note("end", id, job.attempt)
        await tell(store, job, Succeeded(job.token or "", b"1"))


async def _others(poster: Poster, seconds: float) -> list[float]:
    """How long each post took that others made meanwhile."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def post_on() -> None:
        while time.monotonic() < end:
            begun = time.monotonic()
            await poster.submit(seconds=0.0)
            took.append(time.monotonic() - begun)
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(post_on() for _ in range(OTHERS)))
    return took


async def _slow_clients(port: int, path: str, slow: int, idle: int, fill: float) -> Process:
    """A process of their own, all connected."""
    command = [sys.executable, "-m", "support.slow_clients", str(port), path, str(slow), str(idle), str(fill)]
    clients = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert clients.stdout is not None
    said = await clients.stdout.readline()
    assert said == b"ready\n"
    return clients


async def _cut(clients: Process) -> Cut:
    """After how many seconds each was cut, by kind; `None`: it was not."""
    said, _ = await clients.communicate()
    return msgspec.json.decode(said, type=Cut)


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _p99(seconds: list[float]) -> float:
    return round(1000 * sorted(seconds)[int(0.99 * len(seconds))], 1)
