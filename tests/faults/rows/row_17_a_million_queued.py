"""A million jobs are queued: what a claim takes, against a claim where nothing else is there."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import apsw
import redis
from msgspec import Struct

from async_job.core.lifecycle import Succeeded
from async_job.ids import new_id
from async_job.store.protocol import BATCH, ClaimId
from faults.result import RowResult
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
    with _work(scene) as work:
        async with scene.client() as client:
            await client.store.enroll(make_worker(WORKER), HOUR)
            empty = await _claims(client, work, 0, claims)
            before = _size(scene)
            begun = time.monotonic()
            await _fill(client, queued)
            filled = time.monotonic() - begun
            bytes_a_job = round((_size(scene) - before) / queued)
            full = await _claims(client, work, claims + WARM_UP, claims)
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
            return result


def _compare(scene: Scene, empty: Cost, full: Cost) -> None:
    most = TIMES_EMPTY * (NOISE if scene.store == "redis" else 1.0)
    scene.demand(full.work <= most * empty.work, f"a claim's work rose from {empty.work} to {full.work}")
    if scene.scale.full:
        rise = f"the p99 of claims rose from {empty.p99_ms} to {full.p99_ms} ms"
        scene.demand(full.p99_ms <= TIMES_EMPTY * empty.p99_ms, rise)


async def _claims(client: Client, work: Work, before: int, claims: int) -> Cost:
    """Each takes a job that goes before all others, which then ends. `before`: how many claims there were."""
    store, times, done = client.store, [], 0.0
    for n in range(claims + WARM_UP):
        id = await client.submit(id=new_id(), priority=9)
        begun, work_before = time.perf_counter(), work()
        claimed = await store.claim(ClaimId(WORKER, before + n + 1), ("default",), 1)
        if n >= WARM_UP:
            times.append(time.perf_counter() - begun)
            done += work() - work_before
        [job] = claimed.jobs
        assert job.id == id
        client.note("start", id, job.attempt)
        client.note("end", id, job.attempt)
        await tell(store, job, Succeeded(job.token or "", b"%d" % job.attempt))
    times.sort()
    p50, p99 = (round(1000 * times[int(part * claims)], 3) for part in (0.5, 0.99))
    return Cost(p50, p99, round(done / claims, 1))


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
def _work(scene: Scene) -> Iterator[Work]:
    if scene.store == "redis":
        with _redis(scene) as admin:
            yield lambda: float(admin.info("commandstats")["cmdstat_evalsha"]["usec"])
        return
    steps = 0

    def count(statement: dict[str, Any]) -> None:
        nonlocal steps
        steps += statement["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    def watch(connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)

    apsw.connection_hooks.append(watch)
    yield lambda: steps
    apsw.connection_hooks.remove(watch)


def _redis(scene: Scene) -> "redis.Redis":
    return redis.Redis(port=urlsplit(scene.url).port or 0)
