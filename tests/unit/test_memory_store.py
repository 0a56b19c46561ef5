"""What is the memory store's own: several event loops in several threads, and what `check` finds when it is damaged."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import Succeeded
from async_job.store.bell import Bell
from async_job.store.memory.store import MemoryStore
from support.jobs import LEASE, change, claim, cursor, make_worker, run, submit, tell

THREADS = 4
T = TypeVar("T")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(ManualClock())


def in_threads(work: Callable[[int], Awaitable[T]]) -> list[T]:
    """Runs the work in threads that start together, each with an event loop of its own."""
    barrier = Barrier(THREADS)

    async def started(n: int) -> T:
        barrier.wait(10)
        return await work(n)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda n: asyncio.run(started(n)), range(THREADS)))


def test_many_loops_share_it(store: MemoryStore) -> None:
    async def work(n: int) -> list[str]:
        await store.enroll(make_worker(f"w{n}"), LEASE)
        done = []
        for at in range(1, 101):
            await submit(store, f"{n}-{at}", unique_key=f"{at}-{n}")
            for job in await claim(store, at, f"w{n}", limit=2):
                await tell(store, job, Succeeded(job.token or "", b"1"))
                done.append(job.id)
        return done

    done = in_threads(work)
    assert sorted(id for ids in done for id in ids) == sorted(
        f"{n}-{at}" for n in range(THREADS) for at in range(1, 101)
    )
    assert asyncio.run(store.check()) == []


def test_a_waiter_hears_of_a_write_in_another_thread(store: MemoryStore) -> None:
    """Each waits for what all write together: no wake-up is lost, whichever way the threads are woven."""

    async def work(n: int) -> int:
        after, seen = "0", 0
        for at in range(50):
            await submit(store, f"{n}-{at}")
        while seen < THREADS * 50:
            changes = await store.changes(after, 30)
            assert changes.entries, "the wait ended without news"
            seen += len(changes.entries)
            after = changes.cursor
        return seen

    assert in_threads(work) == [THREADS * 50] * THREADS


def test_a_bell_may_ring_for_a_loop_that_was_closed() -> None:
    bell = Bell()
    listening = bell.listening()

    async def listen_and_leave() -> None:
        # The context is never left: its thread ended with the listener still in it.
        listening.__enter__()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(listen_and_leave())
    loop.close()
    assert len(bell._listening) == 1
    bell.ring()
    assert bell._listening == {}

    async def heard() -> bool:
        with bell.listening() as rung:
            bell.ring()
            return (await asyncio.wait([rung], timeout=10))[1] == set()

    assert asyncio.run(heard())


async def test_a_listener_that_gives_up_is_forgotten(store: MemoryStore) -> None:
    start = await cursor(store)
    for _ in range(3):
        waiting = [asyncio.ensure_future(store.changes(start, 30)), asyncio.ensure_future(store.wait(["x"], 30))]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert (store._changed._listening, store._ready._listening) == ({}, {})


DAMAGES: dict[str, Callable[[MemoryStore], object]] = {
    "queued and not in its queue": lambda store: store._table.queues["default"].remove(
        store._table.jobs["queued"].rank, "queued"
    ),
    "in a queue that is not its own": lambda store: store._table.queues["default"].add(5, "running"),
    "a stranger in a queue": lambda store: store._table.queues["default"].add(5, "nobody"),
    "scheduled and not in the index": lambda store: store._table.scheduled.remove(
        store._table.jobs["scheduled"].scheduled_for, "scheduled"
    ),
    "a deadline too few": lambda store: store._table.deadlines.remove(
        store._table.jobs["queued"].start_by or 0, "queued"
    ),
    "a deadline too many": lambda store: store._table.deadlines.add(5, "running"),
    "never to be purged": lambda store: store._table.kept.remove(store._table.jobs["ended"].kept_until or 0, "ended"),
    "running and not held": lambda store: store._table.workers["w"].held.clear(),
    "held and not running": lambda store: store._table.workers["w"].held.update(queued=None),
    "held by nobody known": lambda store: store._table.workers.clear(),
    "a key given up too early": lambda store: store._table.unique.clear(),
    "a key held by an ended job": lambda store: store._table.unique.update({("demo", "x"): "ended"}),
    "a state that no index knows": lambda store: store._table.jobs.update(
        queued=replace(store._table.jobs["queued"], state=State.SCHEDULED)
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_check_finds_a_damage(store: MemoryStore, damage: Callable[[MemoryStore], object]) -> None:
    await run(store, "running")
    (job,) = await run(store, "ended", n=2)
    await store.apply([change(job, Succeeded("w:2", b"1"), store.now())])
    await submit(store, "queued", start_by=store.now() + 1_000, unique_key="k")
    await submit(store, "scheduled", delay=1_000)
    assert await store.check() == []
    damage(store)
    findings = await store.check()
    assert findings
    assert all(finding.problem for finding in findings)
    await store.repair()
    assert await store.check() == []
    assert len(await store.get(["running", "ended", "queued", "scheduled"])) == 4
