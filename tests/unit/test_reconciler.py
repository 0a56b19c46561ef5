"""What the store takes for a worker's and the worker does not know is given back; and nothing else is."""

from collections.abc import AsyncIterator

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import DEFAULT_RETENTION, LeaseLapsed, Succeeded
from async_job.store.memory.store import MemoryStore
from async_job.worker.active import ActiveRun
from async_job.worker.claimer import Claimer
from async_job.worker.executor import Executor
from async_job.worker.reconciler import reconcile
from support.jobs import LEASE, claim, read, run, submit, tell


async def nothing_runs(*_: object) -> bytes:
    raise AssertionError("nothing is to run")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[MemoryStore]:
    store = MemoryStore(clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def claimer(store: MemoryStore) -> Claimer:
    return Claimer(store, Executor({}, nothing_runs, store.now), "w", ["default"], False, 4, DEFAULT_RETENTION)  # type: ignore[arg-type]


async def test_a_job_whose_end_the_store_has_lost_goes_back_uncharged(store: MemoryStore, claimer: Claimer) -> None:
    [job] = await run(store, "a")
    claimer.claims.next(1)
    claimer.claims.settle(1)
    assert [one.id for one in await reconcile(store, claimer, DEFAULT_RETENTION)] == ["a"]
    job = await read(store, "a")
    assert (job.state, job.reason, job.failures, job.crashes) == (State.QUEUED, "outcome_lost", 0, 0)
    assert await reconcile(store, claimer, DEFAULT_RETENTION) == []


async def test_what_runs_or_is_just_being_claimed_stays(store: MemoryStore, claimer: Claimer) -> None:
    [job] = await run(store, "known")
    claimer.claims.next(1)
    claimer.claims.settle(1)
    claimer.active.add(ActiveRun(job, store.now))
    await submit(store, "coming")
    await claim(store, n=2)
    assert await reconcile(store, claimer, DEFAULT_RETENTION) == []
    assert (await store.counts()).states[State.RUNNING] == 2


async def test_the_jobs_of_other_workers_stay(store: MemoryStore, claimer: Claimer) -> None:
    await run(store, "a", worker="another")
    claimer.claims.next(1)
    claimer.claims.settle(1)
    assert await reconcile(store, claimer, DEFAULT_RETENTION) == []


async def test_an_outcome_that_came_too_late_leaves_nothing_to_ask_the_store(
    store: MemoryStore, claimer: Claimer, clock: ManualClock
) -> None:
    [job] = await run(store, "a")
    clock.advance(LEASE / 1000)
    active = ActiveRun(await tell(store, job, LeaseLapsed(job.token or "")), store.now)
    claimer.active.add(active)
    assert await claimer._trip([(active, Succeeded(job.token or "", b"1"))], None) == []
    assert not claimer.active
