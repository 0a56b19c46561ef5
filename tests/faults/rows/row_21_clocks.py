"""Clocks are set by an hour and by 30 days, to and fro, and everything is suspended for three leases."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from msgspec import Struct

from async_job.core.job import Job, State
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client
from support.poster import Poster
from support.servers import Server
from support.set_clock import SetClock, find_faketime
from support.supervised import Program

LIMIT = 400.0
HOUR, MONTH = 3_600, 30 * 86_400
OFFSETS = (HOUR, -HOUR, MONTH, -MONTH)
LONG = 4
"""Jobs that run while a clock is set: as many as one worker runs, so that slots are left for others."""
SOON = 0.5
LATER = 600
FOR_EVER: Mapping[str, object] = dict.fromkeys(("keep_succeeded", "keep_cancelled", "keep_expired", "keep_failed"), 0)


def missing() -> str:
    """What this machine would have to have."""
    return "" if find_faketime() else "libfaketime (Debian: apt install faketime)"


class Place(Struct, frozen=True):
    """What is played on. With SQLite all processes are on one machine, which has one clock."""

    clocks: dict[str, SetClock]
    programs: list[Program]
    server: Server | None
    client: Client
    poster: Poster
    http: httpx.AsyncClient

    def pids(self) -> list[int]:
        own = [pid for program in self.programs for pid in (program.pid, *program.children())]
        return own + ([self.server.pid] if self.server else [])


async def run(scene: Scene) -> RowResult:
    async with _place(scene) as place:
        doubled, early = 0, 0
        settings = _settings_of(scene, list(place.clocks))
        for clock, offset in settings:
            for seconds in (offset, 0):
                found = await _set(scene, place, clock, seconds)
                doubled, early = doubled + found[0], early + found[1]
        asleep = await _suspend(scene, place)
        await place.client.wait_for_all(scene.scale.patience)
        scene.demand(not doubled, f"{doubled} live jobs were taken over when a clock was set")
        scene.demand(not asleep, f"{asleep} live jobs were taken over when all was suspended")
        scene.demand(not early, f"{early} jobs began before their time by the store's clock")
        extra = {"clocks_set": 2 * len(settings), "doubled": doubled, "doubled_suspended": asleep, "early": early}
        return await scene.result(place.client, may_end=(State.SUCCEEDED, State.CANCELLED), extra=extra)


def _settings_of(scene: Scene, clocks: list[str]) -> list[tuple[str, int]]:
    if scene.scale.full:
        return [(clock, offset) for clock in clocks for offset in OFFSETS]
    # The clock that the store looks at is the last.
    return [(clock, HOUR) for clock in clocks[:-1]] + [(clocks[-1], -HOUR), (clocks[-1], MONTH)]


@asynccontextmanager
async def _place(scene: Scene) -> AsyncIterator[Place]:
    redis = scene.store == "redis"
    names = ("worker", "server", "redis") if redis else ("machine",)
    clocks = {name: SetClock(scene.folder / f"clock-{name}") for name in names}
    server = scene.redis(environ=clocks["redis"].environ) if redis else None
    url = server.url if server else scene.url
    settings = scene.settings(store=url, **FOR_EVER)
    first, last = names[0], names[1] if redis else names[0]
    worker = scene.program(settings, environ=clocks[first].environ)
    # It works, too: whoever has a worker of its own looks for those whose leases are over.
    web = scene.program(settings, serve=True, environ=clocks[last].environ)
    async with scene.client(url) as client:
        with worker, web:
            address = f"http://127.0.0.1:{web.port}"
            async with (
                Poster(web.port, scene.history, scene.scale.patience) as poster,
                httpx.AsyncClient(base_url=address, trust_env=False, timeout=30.0) as http,
            ):
                yield Place(clocks, [worker, web], server, client, poster, http)


async def _set(scene: Scene, place: Place, clock: str, seconds: int) -> tuple[int, int]:
    """Sets a clock while jobs run and others wait for their time. How many were doubled, and how many were early."""
    long = await _begin(scene, place)
    later = await place.poster.submit(seconds=0.0, delay=LATER)
    place.clocks[clock].set(seconds)
    await asyncio.sleep(scene.scale.lease)
    # Whoever counts on from the store's last answer learns of it by the next.
    assert (await place.http.get("/readyz")).is_success
    soon = [await place.poster.submit(seconds=0.0, delay=SOON) for _ in range(2)]
    await _ended(scene, place, [*long, *soon])
    await place.http.post(f"/v1/jobs/{later}/cancel")
    await _ended(scene, place, [later])
    jobs = [job for job in await place.client.store.get([*long, *soon, later]) if job is not None]
    # The clock of the store is the one that is given last.
    ahead = jobs[LONG].scheduled_for / 1000 - time.time()
    expected = seconds if clock == [*place.clocks][-1] else 0
    scene.demand(abs(ahead - expected) < HOUR / 2, f"the store's clock is {ahead:.0f} s ahead, not {expected} s")
    return sum(job.attempt > 1 for job in jobs), sum(map(_is_early, jobs))


async def _suspend(scene: Scene, place: Place) -> int:
    """Stops everything for three leases, the store's server as well. How many jobs were doubled."""
    ids = await _begin(scene, place)
    pids = place.pids()
    for number, pause in ((signal.SIGSTOP, 3 * scene.scale.lease), (signal.SIGCONT, 0.0)):
        # It explains no second run, so it is not written down as a fault.
        for pid in pids:
            os.kill(pid, number)
        await asyncio.sleep(pause)
    await _ended(scene, place, ids)
    return sum(job.attempt > 1 for job in await place.client.store.get(ids) if job is not None)


async def _begin(scene: Scene, place: Place) -> list[str]:
    """Jobs that run for two leases and a half, begun."""
    ids = [await place.poster.submit(seconds=2.5 * scene.scale.lease) for _ in range(LONG)]
    for id in ids:
        await place.client.wait_for_start(id, timeout=scene.scale.patience)
    return ids


async def _ended(scene: Scene, place: Place, ids: list[str]) -> None:
    end = time.monotonic() + scene.scale.patience
    while not all(job is None or job.done for job in await place.client.store.get(ids)):
        assert time.monotonic() < end, f"jobs have not ended within {scene.scale.patience:g} s"
        await asyncio.sleep(0.05)


def _is_early(job: Job) -> bool:
    return job.started_at is not None and job.started_at < job.scheduled_for
