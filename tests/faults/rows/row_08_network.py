"""The network is cut all the time, half-open, slow, or brings one byte at a time; replies are lost."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client
from support.poster import Poster
from support.proxy import Proxy
from support.supervised import Program

LIMIT = 420.0
CUTS = 1_000
HALF_OPEN = 60.0
DELAY = (0.0, 0.4)
MORE_FDS = 6
"""A process may have so many more open files than before: connections that are just being made."""

Change = Callable[[], object]


async def run(scene: Scene) -> RowResult:
    """Redis is behind the network, and with SQLite the HTTP server is. No process is harmed, so each job runs once."""
    full = scene.scale.full
    async with AsyncExitStack() as stack:
        client, program, proxy = await stack.enter_async_context(_set_up(scene))
        before = _files(program)
        posting = await stack.enter_async_context(_load(scene, client, proxy))
        for _ in range(scene.scale.times(CUTS, short=30)):
            proxy.cut_all()
            await asyncio.sleep(0.05)
        for _ in range(scene.scale.times(CUTS // 10, short=10)):
            proxy.cut_next_reply()
            await asyncio.sleep(0.05)
        await _alive(client, "the cuts")
        proxy.hold()
        await asyncio.sleep(HALF_OPEN if full else 3 * scene.scale.lease)
        proxy.let_go()
        stalled = await _alive(client, "being half-open")
        proxy.delay = DELAY
        await asyncio.sleep(15.0 if full else 2.0)
        proxy.delay = (0.0, 0.0)
        await _alive(client, "the delays")
        proxy.dribble = True
        await asyncio.sleep(5.0 if full else 1.0)
        proxy.dribble = False
        await _alive(client, "the dribble")
        await posting()
        # The last jobs tell whether all slots are still there.
        await client.wait_for_all(2 * scene.scale.patience)
        slots = await _slots(scene, client)
        scene.demand(slots == 8, f"only {slots} of 8 slots take jobs")
        more = {pid: n - before[pid] for pid, n in _files(program).items() if pid in before}
        scene.demand(len(more) == len(before), "a process was replaced")
        scene.demand(max(more.values()) <= MORE_FDS, f"open files grew by {more}")
        extra = {
            "cuts": proxy.cuts,
            "first_success_after_half_open": round(stalled, 2),
            "more_files": max(more.values()),
        }
        return await scene.result(client, extra=extra)


@asynccontextmanager
async def _set_up(scene: Scene) -> AsyncIterator[tuple[Client, Program, Proxy]]:
    if scene.store == "redis":
        server = scene.redis()
        async with Proxy(server.port) as proxy, scene.client(server.url) as client:
            program = scene.program(scene.settings(store=proxy.url))
            # The proxy works in this loop, so the start must not hold it up.
            await asyncio.to_thread(program.start)
            yield client, program, proxy
            await asyncio.to_thread(program.kill)
    else:
        async with scene.client() as client:
            with scene.program(serve=True) as program:
                async with Proxy(program.port) as proxy:
                    yield client, program, proxy


@asynccontextmanager
async def _load(scene: Scene, client: Client, proxy: Proxy) -> AsyncIterator[Callable[[], object]]:
    """Submits through the network; the answer ends it."""
    if scene.store == "sqlite":
        async with Poster(proxy.port, scene.history, scene.scale.patience + HALF_OPEN) as poster:
            tasks = [asyncio.create_task(poster.submit_on(0.05)) for _ in range(4)]

            async def finish() -> None:
                poster.finish()
                await asyncio.gather(*tasks)
                scene.demand(not poster.server_errors, f"clients saw {poster.server_errors[:3]}")

            yield finish
    else:
        async with scene.client(proxy.url) as through:
            through.patience += HALF_OPEN
            ending = asyncio.Event()

            async def submit_on() -> None:
                while not ending.is_set():
                    await through.submit()
                    await asyncio.sleep(0.05)

            tasks = [asyncio.create_task(submit_on()) for _ in range(4)]

            async def finish() -> None:
                ending.set()
                await asyncio.gather(*tasks)

            yield finish


async def _alive(client: Client, what: str) -> float:
    """Seconds until a job that is acknowledged from now on has come to its end."""
    begun = time.monotonic()
    while time.monotonic() < begun + client.patience:
        acknowledged = {line.id for line in client.book.lines if line.what == "ok" and line.at > begun}
        if any(line.what == "end" and line.id in acknowledged for line in client.book.lines):
            return time.monotonic() - begun
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing ran within {client.patience:g} s after {what}")


async def _slots(scene: Scene, client: Client) -> int:
    """How many of eight jobs run at the same time."""
    ids = [await client.submit(seconds=2.0 + scene.scale.slack) for _ in range(8)]
    await client.wait_for_all(scene.scale.patience)
    starts = [line.at for line in client.book.lines if line.what == "start" and line.id in ids]
    ends = [line.at for line in client.book.lines if line.what == "end" and line.id in ids]
    return sum(start < min(ends) for start in starts)


def _files(program: Program) -> dict[int, int]:
    """The open files of each process."""
    return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in (program.pid, *program.children())}
