"""No starvation: a worker serves its queues in turn, unless it is to be strict."""

from collections.abc import Sequence

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import DEFAULT_RETENTION
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import Claimed, ClaimId, Index
from async_job.worker.claimer import Claimer
from async_job.worker.executor import Executor
from support.jobs import LEASE, make_worker, submit

QUEUES = ("one", "two", "three")


class Asked(MemoryStore):
    """Remembers in which order it was asked for the queues."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.asked: list[tuple[str, ...]] = []

    async def claim(self, claim: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        self.asked.append(tuple(queues))
        return await super().claim(claim, queues, limit)


async def nothing_runs(*_: object) -> bytes:
    raise AssertionError


async def served(strict: bool) -> tuple[list[str], list[int]]:
    """Which queue came first in each of six claims of one job, and how many of its four jobs each queue has left."""
    store = Asked()
    await store.open()
    for queue in QUEUES:
        await submit(store, *(f"{queue}-{n}" for n in range(4)), queue=queue)
    await store.enroll(make_worker("w", queues=QUEUES), LEASE)
    claimer = Claimer(store, Executor({}, nothing_runs, store.now), "w", QUEUES, strict, 6, DEFAULT_RETENTION)  # type: ignore[arg-type]
    for _ in range(6):
        await claimer._trip([], claimer.claims.next(1))
    left = [len(await store.scan(Index(State.QUEUED, queue), None, 10)) for queue in QUEUES]
    await store.close()
    return [queues[0] for queues in store.asked], left


@pytest.mark.parametrize(
    ("strict", "first", "left"), [(False, [*QUEUES, *QUEUES], [2, 2, 2]), (True, ["one"] * 6, [0, 2, 4])]
)
async def test_who_comes_first(strict: bool, first: list[str], left: list[int]) -> None:
    assert await served(strict) == (first, left)
