"""`open`, `close` and `now`."""

import pytest

from async_job.clock import ManualClock
from async_job.store.protocol import Store
from support.jobs import read, submit
from support.stores import OpenStore


async def test_a_second_object_sees_the_same_jobs(store: Store, open_store: OpenStore) -> None:
    (job,) = await submit(store, "a")
    other = await open_store()
    assert await other.get(["a"]) == [job]
    await submit(other, "b")
    assert (await read(store, "b")).id == "b"


async def test_it_may_be_closed_twice(open_store: OpenStore) -> None:
    store = await open_store()
    await store.close()
    await store.close()


async def test_a_store_outlives_the_object_that_filled_it(open_store: OpenStore) -> None:
    first = await open_store()
    await submit(first, "a")
    await first.close()
    second = await open_store()
    assert (await read(second, "a")).id == "a"


@pytest.mark.parametrize("seconds", [0.001, 3600, -3600])
async def test_its_time_is_the_clocks(store: Store, clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    assert store.now() == clock.now()
