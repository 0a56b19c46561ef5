"""`ahead`: how many jobs stand before one in its queue."""

import pytest

from async_job.clock import ManualClock
from async_job.core.lifecycle import CancelRequested, Succeeded
from async_job.store.protocol import Store
from support.jobs import LEASE, claim, end, make_worker, run, submit, tell


async def test_as_they_will_be_claimed(store: Store, clock: ManualClock) -> None:
    await submit(store, "c", "b")
    await submit(store, "high", priority=1)
    await submit(store, "low", priority=-1)
    clock.advance(0.001)
    await submit(store, "a")
    places = [await store.ahead(id) for id in ("high", "b", "c", "a", "low")]
    assert places == [0, 1, 2, 3, 4]
    await store.enroll(make_worker(), LEASE)
    assert [job.id for job in await claim(store)] == ["high", "b", "c", "a", "low"]


async def test_only_those_of_its_queue(store: Store) -> None:
    await submit(store, "a", "b", queue="one")
    await submit(store, "c", queue="two")
    assert await store.ahead("c") == 0


async def test_those_that_are_not_queued_do_not_count(store: Store) -> None:
    await run(store, "a")
    await submit(store, "b", delay=1_000)
    await end(store, "c")
    await submit(store, "d")
    assert await store.ahead("d") == 0


async def test_it_moves_up(store: Store) -> None:
    a, *_ = await submit(store, *"abc")
    assert await store.ahead("c") == 2
    await tell(store, a, CancelRequested())
    assert await store.ahead("c") == 1
    await store.enroll(make_worker(), LEASE)
    await claim(store, limit=1)
    assert await store.ahead("c") == 0


async def test_a_job_that_is_not_queued(store: Store) -> None:
    (job,) = await run(store, "a")
    assert await store.ahead("a") is None
    await tell(store, job, Succeeded("w:1", b"1"))
    assert await store.ahead("a") is None
    await submit(store, "b", delay=1_000)
    assert await store.ahead("b") is None


@pytest.mark.parametrize("id", ["", "nobody", "A", "a\x00", "*", "queue:default", "x" * 10_000])
async def test_a_job_that_is_not_there(store: Store, id: str) -> None:
    await submit(store, "a")
    assert await store.ahead(id) is None


async def test_at_the_same_time_by_id(store: Store) -> None:
    ids = ["b", "a10", "a", "B", "a\x00", "ä", "☃", "a9", "𝄞", "\uffff"]
    await submit(store, *ids)
    assert [await store.ahead(id) for id in sorted(ids)] == list(range(len(ids)))


async def test_it_is_counted_up_to_a_thousand(store: Store) -> None:
    await submit(store, *(f"{n:04}" for n in range(1_100)))
    assert [await store.ahead(id) for id in ("0999", "1000", "1001", "1099")] == [999, 1_000, 1_000, 1_000]
