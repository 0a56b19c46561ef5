"""`get`: the jobs as they are, in order."""

import pytest

from async_job.store.protocol import Store
from support.jobs import full_job, make_job, submit

STRANGE = [
    "",
    "nobody",
    "a ",
    "A",
    "a\x00",
    "*",
    "a*",
    "[a]",
    "?",
    "%",
    "_",
    "a:",
    "☃",
    "x" * 10_000,
    "-1",
    "queue:default",
]


async def test_in_the_order_asked_and_as_often(store: Store) -> None:
    a, b = await submit(store, "a", "b")
    assert await store.get(["b", "nobody", "a", "b"]) == [b, None, a, b]


async def test_nothing(store: Store) -> None:
    assert await store.get([]) == []


@pytest.mark.parametrize("id", STRANGE)
async def test_an_id_that_is_not_there(store: Store, id: str) -> None:
    (job,) = await submit(store, "a")
    assert await store.get([id, "a"]) == [None, job]


async def test_more_than_a_batch(store: Store) -> None:
    jobs = [full_job(store.now(), f"{n:04}", unique_key=None) for n in range(1_000)]
    await store.submit(jobs)
    ids = [f"{n:04}" for n in range(999, -1, -1)]
    assert await store.get([*ids, "nobody"]) == [*reversed(jobs), None]


async def test_an_empty_labels_and_an_empty_input(store: Store) -> None:
    jobs = [make_job(store.now(), "a", labels={}, input=b"{}"), make_job(store.now(), "b", input=b"")]
    await store.submit(jobs)
    assert await store.get(["a", "b"]) == jobs
