"""How long a claim and a page of a list take when many jobs are queued; of async-job alone, in a process of its own."""

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

CLAIMS = 500
GROUP = 10
HOUR = 3_600_000


def claims_at_depth(scene: Any, depths: Sequence[int]) -> dict[str, float]:
    """p50 and p99 in milliseconds of claims of ten jobs, and of pages of fifty, at each depth."""
    with scene:
        asked = [sys.executable, __file__, *map(str, depths)]
        told = subprocess.run(asked, env=scene.environment, capture_output=True, text=True, timeout=1800, check=False)
    if told.returncode:
        raise RuntimeError(told.stderr[-2000:])
    figures: dict[str, float] = json.loads(told.stdout)
    return figures


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await call()
    return (time.perf_counter() - begin) * 1000


def _both(name: str, times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {f"{name}_p50_ms": ordered[len(ordered) // 2], f"{name}_p99_ms": ordered[int(len(ordered) * 0.99)]}


async def measure(depths: Sequence[int]) -> dict[str, float]:
    from rivals.async_job import bulk, jobs

    from async_job.core.job import State
    from async_job.core.query import Query
    from async_job.store.protocol import ClaimId, Worker

    figures: dict[str, float] = {}
    async with jobs:
        store = await jobs.store()
        worker = Worker(
            id=secrets.token_hex(8), host="here", pid=1, started_at=store.now(), queues=("default",), concurrency=GROUP
        )
        await store.enroll(worker, HOUR)
        queued = number = 0
        for depth in depths:
            while queued < depth:
                queued += len(await bulk("noop", min(1000, depth - queued)))
            claims, pages = [], []
            for _ in range(CLAIMS):
                # What is claimed is put back behind the others, so that the depth stays.
                await bulk("noop", GROUP)
                number += 1
                claim = ClaimId(worker.id, number)
                claims.append(await _timed(lambda claim=claim: store.claim(claim, ("default",), GROUP)))
                pages.append(await _timed(lambda: jobs.find(Query(states=(State.QUEUED,)), limit=50)))
            figures |= _both(f"claim_{depth}", claims) | _both(f"page_{depth}", pages)
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure([int(depth) for depth in sys.argv[1:]]))))
