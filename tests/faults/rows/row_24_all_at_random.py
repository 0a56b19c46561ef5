"""All of these faults at random, one after the other, under a steady load; and nothing grows.

`make soak MINUTES=10 SEED=7`. One program is harmed in each way; the other lives on, so that it shows what grows.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from msgspec import Struct

from async_job.core.job import State
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client, until
from support.growth import Growth
from support.poster import Poster
from support.proxy import Proxy
from support.servers import Server, free_port
from support.supervised import Program, alive, descendants

MINUTES = float(os.environ.get("MINUTES") or 1)
SHORT_SECONDS = 8.0
LIMIT = 60 * MINUTES + 240
ALONE = True
LOADERS = 4
PAUSE = 0.15
BETWEEN = (0.3, 2.0)
"""Seconds from one fault to the next."""
TYPES = {"work": 8, "talk": 1, "fail": 1}
"""How often which, of ten jobs."""
CANCELLED, RETRIED = 0.1, 0.1


class Place(Struct, frozen=True):
    calm: Program
    harmed: Program
    redis: Server | None
    proxy: Proxy
    client: Client
    posters: list[Poster]
    http: httpx.AsyncClient


async def run(scene: Scene) -> RowResult:
    seconds = 60 * MINUTES if scene.scale.full else SHORT_SECONDS
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    async with _place(scene) as place:
        growth = Growth(place.calm, scene.folder / "jobs.db-wal")
        ended = asyncio.Event()
        loaders = [asyncio.create_task(_load(place, random.Random(f"{seed} {n}"), ended)) for n in range(LOADERS)]
        watching = asyncio.create_task(growth.watch(seconds / 60))
        harms = await _harm_for(seconds, scene, place, random.Random(seed))
        watching.cancel()
        ended.set()
        await asyncio.gather(*loaders)
        await place.client.wait_for_all(2 * scene.scale.patience)
        for poster in place.posters:
            scene.demand(not poster.server_errors, f"clients saw {poster.server_errors[:3]}")
        scene.demand("Traceback" not in place.calm.text(), "the program that was left alone had an error")
        grown = growth.thirds()
        if scene.scale.full:
            for what in growth.grown():
                scene.demand(False, what)
        states = Counter(str(job.state) for job in await place.client.jobs() if job is not None)
        may_end = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        extra = {"seed": seed, "harms": harms, "states": dict(states), "first_and_last_third": grown}
        result = await scene.result(place.client, may_end=may_end, extra=extra)
        result.why += [] if result.passed else [f"SEED={seed}"]
        return result


@asynccontextmanager
async def _place(scene: Scene) -> AsyncIterator[Place]:
    """With Redis it is behind a network that is cut, and with SQLite the calm program's HTTP server is."""
    redis = scene.redis(appendonly=True, appendfsync="always") if scene.store == "redis" else None
    url, port = (redis.url, free_port()) if redis else (scene.url, free_port())
    async with Proxy(redis.port if redis else port) as proxy, scene.client(url) as client:
        settings = scene.settings(store=proxy.url if redis else url, workers=1)
        calm = scene.program(settings, serve=True, port=port)
        harmed = scene.program(settings, serve=True, port=free_port())
        # The proxy works in this loop, so no start may hold it up.
        await asyncio.gather(asyncio.to_thread(calm.start), asyncio.to_thread(harmed.start))
        patience = 2 * scene.scale.patience
        ports = (calm.port if redis else proxy.port, harmed.port)
        async with (
            Poster(ports[0], scene.history, patience) as one,
            Poster(ports[1], scene.history, patience) as two,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{calm.port}", trust_env=False, timeout=10.0) as http,
        ):
            yield Place(calm, harmed, redis, proxy, client, [one, two], http)
        await asyncio.gather(asyncio.to_thread(calm.kill_all), asyncio.to_thread(harmed.kill_all))


async def _load(place: Place, chance: random.Random, ended: asyncio.Event) -> None:
    """Jobs of several kinds to both servers; some are cancelled, and some that have ended so are tried again."""
    ids: list[str] = []
    while not ended.is_set():
        [type] = chance.choices([*TYPES], [*TYPES.values()])
        attempts = 1 if type == "fail" else 3
        seconds = chance.choice((0.02, 0.1, 0.1, 0.5))
        ids.append(await chance.choice(place.posters).submit(seconds=seconds, type=type, max_attempts=attempts))
        if chance.random() < CANCELLED:
            await _ask(place, chance.choice(ids[-5:]), "cancel")
        if chance.random() < RETRIED:
            await _ask(place, chance.choice(ids[-50:]), "retry")
        await asyncio.sleep(PAUSE)


async def _ask(place: Place, id: str, verb: str) -> None:
    """It may be too early or too late for it, and the store may be away."""
    place.client.note(verb, id)
    with contextlib.suppress(httpx.TransportError):
        await place.http.post(f"/v1/jobs/{id}/{verb}")


async def _harm_for(seconds: float, scene: Scene, place: Place, chance: random.Random) -> dict[str, int]:
    """How often what was done."""
    harms: list[Callable[[Scene, Place, random.Random], Awaitable[None]]] = [
        *(kill_worker, kill_server, kill_program, kill_supervisor, stop_worker, stop_program, cut, cut_reply)
    ]
    if place.redis is not None:
        harms.append(kill_redis)
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        harm = chance.choice(harms)
        await harm(scene, place, chance)
        done[harm.__name__] += 1
        await asyncio.sleep(chance.uniform(*BETWEEN))
    return dict(done)


async def kill_worker(scene: Scene, place: Place, chance: random.Random) -> None:
    _harm(scene, signal.SIGKILL, place.harmed.workers()[:1])


async def kill_server(scene: Scene, place: Place, chance: random.Random) -> None:
    _harm(scene, signal.SIGKILL, place.harmed.servers())


async def kill_program(scene: Scene, place: Place, chance: random.Random) -> None:
    children = place.harmed.children()
    scene.note("fault", "SIGKILL", *children)
    place.harmed.kill_all()
    scene.note("fault", "SIGKILL", *children)
    await asyncio.to_thread(place.harmed.start)


async def kill_supervisor(scene: Scene, place: Place, chance: random.Random) -> None:
    children = place.harmed.children()
    scene.note("fault", "SIGKILL", *children)
    place.harmed.kill()
    await until(lambda: not any(alive(pid) for pid in children), what="the end of all children")
    # What they began meanwhile ended with them.
    scene.note("fault", "SIGKILL", *children)
    await asyncio.to_thread(place.harmed.start)


async def stop_worker(scene: Scene, place: Place, chance: random.Random) -> None:
    await _stop(scene, place.harmed.workers()[:1], chance.uniform(0.2, 2.0))


async def stop_program(scene: Scene, place: Place, chance: random.Random) -> None:
    await _stop(scene, [place.harmed.pid, *place.harmed.children()], chance.uniform(0.5, 2.5))


async def cut(scene: Scene, place: Place, chance: random.Random) -> None:
    place.proxy.cut_all()


async def cut_reply(scene: Scene, place: Place, chance: random.Random) -> None:
    place.proxy.cut_next_reply()


async def kill_redis(scene: Scene, place: Place, chance: random.Random) -> None:
    assert place.redis is not None
    await asyncio.to_thread(place.redis.kill)
    await asyncio.sleep(chance.uniform(0.0, 0.5))
    await asyncio.to_thread(place.redis.restart)


async def _stop(scene: Scene, pids: list[int], leases: float) -> None:
    _harm(scene, signal.SIGSTOP, pids)
    await asyncio.sleep(leases * scene.scale.lease)
    _harm(scene, signal.SIGCONT, pids)


def _harm(scene: Scene, number: signal.Signals, pids: list[int]) -> None:
    """Some may have just ended by themselves."""
    kind = "healed" if number is signal.SIGCONT else "fault"
    # A suspect runs in a child of its worker, and that ends with it.
    reached = [*pids, *(child for pid in pids for child in descendants(pid))]
    if kind == "fault":
        scene.note(kind, number.name, *reached)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    scene.note(kind, number.name, *reached)
