"""One idempotency key, 200 posts through two servers, half of the replies cut: one job."""

import asyncio

from faults.result import RowResult
from faults.scene import Scene
from support.poster import Poster
from support.proxy import Proxy

POSTS = 200
AT_ONCE = 20


async def run(scene: Scene) -> RowResult:
    posts = scene.scale.times(POSTS, short=40)
    async with scene.client() as client:
        with scene.program(serve=True) as first, scene.program(serve=True) as second:
            async with (
                Proxy(first.port) as one,
                Proxy(second.port) as two,
                Poster(0, scene.history, scene.scale.patience) as poster,
            ):
                turn = asyncio.Semaphore(AT_ONCE)

                async def post(n: int) -> str:
                    async with turn:
                        return await poster.submit(key="the-one-key", port=(one, two)[n % 2].port)

                one.cut_every = two.cut_every = 2
                ids = await asyncio.gather(*(post(n) for n in range(posts)))
                cuts, repeats = one.cuts + two.cuts, poster.repeats
                scene.demand(not poster.server_errors, f"clients saw {poster.server_errors[:3]}")
            await client.wait_for_all(scene.scale.patience)
        counts = await client.store.counts()
        jobs = sum(counts.states.values())
        scene.demand(len(set(ids)) == jobs == 1, f"{jobs} jobs were made, and {len(set(ids))} ids given")
        scene.demand(cuts > posts / 4, f"only {cuts} replies were cut")
        return await scene.result(client, extra={"jobs": jobs, "cuts": cuts, "repeats": repeats})
