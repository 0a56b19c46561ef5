"""`enroll`: makes a worker known, with a lease."""

import pytest

from async_job.clock import ManualClock
from async_job.errors import LeaseOver, NotEnrolled
from async_job.store.protocol import Store
from support.jobs import HOUR, LEASE, claim, make_worker, submit


async def test_an_enrolled_worker_may_claim(store: Store) -> None:
    await submit(store, "a")
    await store.enroll(make_worker(), LEASE)
    assert [job.id for job in await claim(store)] == ["a"]


async def test_the_lease_begins_with_it(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), LEASE)
    clock.advance((LEASE - 1) / 1000)
    assert await claim(store, 1) == []
    clock.advance(0.001)
    with pytest.raises(LeaseOver):
        await claim(store, 2)


async def test_again_it_renews_the_lease(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), LEASE)
    await claim(store, 3)
    clock.advance(LEASE / 1000)
    await store.enroll(make_worker(), LEASE)
    assert await claim(store, 4) == []


async def test_again_it_keeps_the_last_claim(store: Store) -> None:
    await store.enroll(make_worker(), LEASE)
    await submit(store, "a")
    jobs = await claim(store, 3)
    await store.enroll(make_worker(), LEASE)
    assert await claim(store, 3) == jobs


async def test_a_retired_worker_is_refused(store: Store) -> None:
    await store.enroll(make_worker(), LEASE)
    await store.retire("w")
    with pytest.raises(NotEnrolled):
        await store.enroll(make_worker(), LEASE)
    with pytest.raises(NotEnrolled):
        await claim(store)


async def test_odd_names(store: Store) -> None:
    for id in ("host:1:2", "ä ☃", "a\nb", "{w}", "*"):
        await store.enroll(make_worker(id, host="ä\n", queues=("a", "b:c"), version="1"), LEASE)
        await submit(store, f"job of {id}")
        (job,) = await claim(store, 1, id)
        assert job.worker == id


async def test_no_worker_disturbs_another(store: Store) -> None:
    await store.enroll(make_worker("a"), LEASE)
    await store.enroll(make_worker("b"), HOUR)
    await store.retire("a")
    assert await claim(store, 1, "b") == []
