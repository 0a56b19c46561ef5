"""`health`: what the store promises now."""

from async_job.store.protocol import Store
from support.jobs import cursor, entries, submit


async def test_it_says_what_it_is_and_what_a_crash_can_lose(store: Store) -> None:
    health = await store.health()
    assert health.backend
    assert len(health.durability.split()) > 2


async def test_it_leaves_no_trace(store: Store) -> None:
    await submit(store, "a")
    counts, start = await store.counts(), await cursor(store)
    await store.health()
    assert await store.counts() == counts
    assert await entries(store, start) == []
