"""A claimer on its own, without the process and the channel around it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from async_job.core.lifecycle import DEFAULT_RETENTION
from async_job.store.protocol import Store
from async_job.worker.active import ActiveRun
from async_job.worker.claimer import Claimer
from async_job.worker.executor import Executor
from support.until import until


async def work(
    store: Store,
    slots: int,
    trips: int,
    call: Callable[[Any, ActiveRun], Awaitable[bytes]],
    done: Callable[[Claimer], object],
) -> None:
    """Claims and runs jobs of type ``work`` until ``done``; then everything that runs is cancelled with its claimer."""
    executor = Executor({"work": object()}, call, store.now)  # type: ignore[dict-item]
    claimer = Claimer(store, executor, "w", ["default"], False, slots, DEFAULT_RETENTION, trips=trips)
    running = asyncio.create_task(claimer.run())
    await until(lambda: done(claimer))
    running.cancel()
    for active in list(claimer.active):
        active.stop()
    await asyncio.wait([running])


async def end_together(store: Store, trips: int, *ids: str, before: Callable[[ActiveRun], Awaitable[None]]) -> None:
    """Has the claimer run these jobs, which wait for each other, do ``before``, and succeed; until all are told."""
    barrier = asyncio.Barrier(len(ids))
    ended = 0

    async def call(_: Any, active: ActiveRun) -> bytes:
        nonlocal ended
        await barrier.wait()
        await before(active)
        await barrier.wait()
        ended += 1
        return b"1"

    await work(store, len(ids), trips, call, lambda claimer: ended == len(ids) and not claimer.active)
