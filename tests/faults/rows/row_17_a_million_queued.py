"""A million jobs are queued: what a claim takes, against one of the same seconds where nothing else is there."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import apsw
import redis
from msgspec import Struct

from async_job.core.lifecycle import Succeeded
from async_job.ids import new_id
from async_job.store.protocol import BATCH, ClaimId
from faults.result import RowResult, joined
from faults.scene import Scene
from support.bookkeeping import Client
from support.jobs import make_job, make_worker, tell

LIMIT = 400.0
ALONE = True
QUEUED = 1_000_000
CLAIMS = 500
WARM_UP = 20
TIMES_EMPTY = 2.0
NOISE = 5.0
"""Times that the microseconds which Redis counts may be more on a busy machine."""
WORKER = "claimer"
HOUR = 3_600_000

Work = Callable[[], float]
"""The work done so far for the calls of this process: steps of SQLite's machine, or microseconds within Redis."""


class Cost(Struct, frozen=True):
    p50_ms: float
    p99_ms: float
    work: float
    """Of one claim, the mean."""


async def run(scene: Scene) -> RowResult:
    queued, claims = scene.scale.times(QUEUED, short=100_000), scene.scale.times(CLAIMS, short=50)
    beside = scene.part("empty")
    with _works(scene, beside) as works:
        async with scene.client() as client, beside.client() as nothing_queued:
            before = _size(scene)
            begun = time.monotonic()
            await _fill(client, queued)
            filled = time.monotonic() - begun
            bytes_a_job = round((_size(scene) - before) / queued)
            full, empty = await _by_turns((client, nothing_queued), works, claims)
            checked = time.monotonic()
            counts = await client.store.counts()
            scene.demand(counts.queued == {"default": queued}, f"{counts.queued} are queued")
            _compare(scene, empty, full)
            extra = {
                "queued": queued,
                "bytes_a_job": bytes_a_job,
                "submitted_per_s": round(queued / filled),
                "empty": empty,
                "full": full,
            }
            result = await scene.result(client, extra=extra)
            result.extra["check_s"] = round(time.monotonic() - checked, 1)
            return joined({"queued": result, "empty": await beside.result(nothing_queued)})


def _compare(scene: Scene, empty: Cost, full: Cost) -> None:
    most = TIMES_EMPTY * (NOISE if scene.store == "redis" else 1.0)
    scene.demand(full.work <= most * empty.work, f"a claim's work rose from {empty.work} to {full.work}")
    if scene.scale.full:
        rise = f"the p99 of claims rose from {empty.p99_ms} to {full.p99_ms} ms"
        scene.demand(full.p99_ms <= TIMES_EMPTY * empty.p99_ms, rise)


async def _by_turns(clients: Sequence[Client], works: Sequence[Work], claims: int) -> list[Cost]:
    """Claims on each store in turn, so that whatever else the machine does befalls all of them."""
    times: list[list[float]] = [[] for _ in clients]
    done = [0.0 for _ in clients]
    for client in clients:
        await client.store.enroll(make_worker(WORKER), HOUR)
    for n in range(claims + WARM_UP):
        for at, (client, work) in enumerate(zip(clients, works, strict=True)):
            seconds, worked = await _claim(client, work, n + 1)
            if n >= WARM_UP:
                times[at].append(seconds)
                done[at] += worked
    return [_cost(of_one, worked) for of_one, worked in zip(times, done, strict=True)]


async def _claim(client: Client, work: Work, number: int) -> tuple[float, float]:
    """A claim of a job that goes before all others, and which then ends: its seconds, and its work."""
    id = await client.submit(id=new_id(), priority=9)
    begun, work_before = time.perf_counter(), work()
    claimed = await client.store.claim(ClaimId(WORKER, number), ("default",), 1)
    seconds, worked = time.perf_counter() - begun, work() - work_before
    [job] = claimed.jobs
    assert job.id == id
    client.note("start", id, job.attempt)
    client.note("end", id, job.attempt)
    await tell(client.store, job, Succeeded(job.token or "", b"%d" % job.attempt))
    return seconds, worked


def _cost(times: list[float], done: float) -> Cost:
    times.sort()
    p50, p99 = (round(1000 * times[int(part * len(times))], 3) for part in (0.5, 0.99))
    return Cost(p50, p99, round(done / len(times), 1))


async def _fill(client: Client, queued: int) -> None:
    """Not written down: they are there to be in the way, and are never run."""
    for done in range(0, queued, 4 * BATCH):
        jobs = [make_job(client.store.now(), new_id(), type="work") for _ in range(min(4 * BATCH, queued - done))]
        await asyncio.gather(*(client.store.submit(jobs[at : at + BATCH]) for at in range(0, len(jobs), BATCH)))


def _size(scene: Scene) -> int:
    """Bytes on the disk, or in the memory of Redis."""
    if scene.store == "redis":
        with _redis(scene) as admin:
            return int(admin.info("memory")["used_memory"])
    file = scene.url.removeprefix("sqlite:///")
    with apsw.Connection(file) as connection:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    return os.path.getsize(file)


@contextmanager
def _works(*scenes: Scene) -> Iterator[list[Work]]:
    """One for each store."""
    if scenes[0].store == "redis":
        with ExitStack() as admins:
            yield [_counted(admins.enter_context(_redis(scene))) for scene in scenes]
        return
    steps = 0

    def count(statement: dict[str, Any]) -> None:
        nonlocal steps
        steps += statement["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    def watch(connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)

    apsw.connection_hooks.append(watch)
    yield [lambda: steps for _ in scenes]
    apsw.connection_hooks.remove(watch)


def _counted(admin: "redis.Redis") -> Work:
    def microseconds() -> float:
        scripts = admin.info("commandstats").get("cmdstat_evalsha")
        return float(scripts["usec"]) if scripts else 0.0

    return microseconds


def _redis(scene: Scene) -> "redis.Redis":
    return redis.Redis(port=urlsplit(scene.url).port or 0)
