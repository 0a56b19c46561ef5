"""`extend`: renews leases, of workers that were not retired."""

import pytest

from async_job.clock import ManualClock
from async_job.errors import LeaseOver
from async_job.store.protocol import Store
from support.jobs import HOUR, LEASE, claim, make_worker, run


async def test_the_lease_runs_from_now(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), LEASE)
    clock.advance(10)
    assert await store.extend(["w"], LEASE) == [True]
    clock.advance((LEASE - 1) / 1000)
    assert await claim(store, 1) == []
    clock.advance(0.001)
    with pytest.raises(LeaseOver):
        await claim(store, 2)


async def test_it_may_shorten_a_lease(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), HOUR)
    await store.extend(["w"], 1_000)
    clock.advance(1)
    with pytest.raises(LeaseOver):
        await claim(store)


async def test_it_revives_a_lapsed_worker(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    clock.advance(LEASE / 1000)
    assert await store.rescuable(10) == [job]
    assert await store.extend(["w"], LEASE) == [True]
    assert await store.rescuable(10) == []
    assert await claim(store, 2) == []


async def test_an_answer_for_each_in_order(store: Store) -> None:
    await store.enroll(make_worker("known"), LEASE)
    await store.enroll(make_worker("retired"), LEASE)
    await store.retire("retired")
    assert await store.extend(["retired", "known", "unknown", "known"], LEASE) == [False, True, False, True]


async def test_it_makes_no_worker_known(store: Store) -> None:
    assert await store.extend(["w"], LEASE) == [False]
    await store.enroll(make_worker(), LEASE)
    assert await claim(store) == []


async def test_nobody(store: Store) -> None:
    assert await store.extend([], LEASE) == []


async def test_a_retired_worker_stays_over(store: Store) -> None:
    (job,) = await run(store, "a")
    await store.retire("w")
    await store.extend(["w"], LEASE)
    assert await store.rescuable(10) == [job]


async def test_more_than_a_batch(store: Store) -> None:
    ids = [f"w{n}" for n in range(300)]
    for id in ids:
        await store.enroll(make_worker(id), LEASE)
    assert await store.extend(ids, LEASE) == [True] * 300
