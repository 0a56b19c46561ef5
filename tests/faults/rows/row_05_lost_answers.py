"""The answer is lost, or its reader killed, after the store has done what it was asked: at submit, claim and apply."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from async_job.core.job import Job
from async_job.errors import StoreUnavailable
from async_job.store.redis.scripts import HASHES
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.proxy import Proxy

LIMIT = 240.0
TIMES = 40


async def run(scene: Scene) -> RowResult:
    times = scene.scale.times(TIMES)
    async with AsyncExitStack() as stack:
        proxy = None
        if scene.store == "redis":
            proxy = await stack.enter_async_context(Proxy(scene.redis().port))
        url = proxy.url if proxy else scene.url
        client = await stack.enter_async_context(scene.client(url))
        # The proxy works in this loop, so the start must not hold it up.
        await asyncio.to_thread(scene.program(scene.settings(store=url), "support.harmed:jobs").start)
        cuts = Counter[str]()
        for step in ("submit", "claim", "apply"):
            for _ in range(times):
                cuts[f"{step} cut"] += await (_cut(client, proxy, step) if proxy else _lose(scene, client, step))
        again = await _again(client)
        scene.demand(not again, f"a lost answer made jobs run again: {again[:3]}")
        for point in ("claim", "before apply", "inside apply", "apply"):
            for _ in range(scene.scale.times(TIMES // 4, short=2)):
                before = len(client.faults)
                scene.arm(point, "kill")
                await asyncio.gather(*(client.submit() for _ in range(4)))
                await until(lambda n=before: len(client.faults) > n, what=f"a kill at {point}")  # type: ignore[misc]
                cuts[f"{point} killed"] += 1
                await client.wait_for_all(scene.scale.patience)
        return await scene.result(client, extra={"cuts": dict(cuts), "repeated": again})


async def _cut(client: Client, proxy: Proxy, step: str) -> int:
    """Redis' reply is thrown away, and the connection closed."""
    before = proxy.cuts
    proxy.cut_next_reply(to=HASHES[step].encode())
    await asyncio.gather(*(client.submit() for _ in range(4)))
    await until(lambda: proxy.cuts > before, what=f"a cut of {step}")
    return proxy.cuts - before


async def _lose(scene: Scene, client: Client, step: str) -> int:
    """SQLite has no wire to cut: its caller is told that it failed after it has committed."""
    if step == "submit":
        submit, lost = client.store.submit, []

        async def deaf(jobs: Sequence[Job], keys: Sequence[Any] = ()) -> Any:
            answers = await submit(jobs, keys)
            if not lost:
                lost.append(jobs)
                raise StoreUnavailable("the answer was lost on its way")
            return answers

        client.store.submit = deaf  # type: ignore[method-assign]
        try:
            await asyncio.gather(*(client.submit() for _ in range(4)))
        finally:
            client.store.submit = submit  # type: ignore[method-assign]
        return len(lost)
    before = _lost(client)
    scene.arm(step, "lose")
    await asyncio.gather(*(client.submit() for _ in range(4)))
    await until(lambda: _lost(client) > before, what=f"a lost answer to {step}")
    return 1


def _lost(client: Client) -> int:
    return sum(line.what == "lose" for line in client.book.lines)


async def _again(client: Client) -> list[str]:
    """Jobs that took more than one claim, though no process was harmed so far: stranded, or doubled."""
    await client.wait_for_all(client.patience)
    return [job.id for job in await client.jobs() if job is None or job.attempt != 1]
