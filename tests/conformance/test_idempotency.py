"""`submit` with idempotency keys: what is told again under one key is stored once."""

import asyncio
from typing import Any

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested
from async_job.store.protocol import IdempotencyKey, Store, Submitted
from support.jobs import HOUR, cursor, entries, make_job, read, submit, tell
from support.stores import OpenStore

DAY = 24 * HOUR


def key(store: Store, name: str = "k", fingerprint: str = "f", lasts: int = DAY) -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint, store.now() + lasts)


async def send(store: Store, id: str, key: IdempotencyKey | None, **fields: Any) -> Submitted:
    (answer,) = await store.submit([make_job(store.now(), id, **fields)], [key])
    return answer


def created(id: str) -> Submitted:
    return Submitted(id, created=True)


def replayed(id: str) -> Submitted:
    return Submitted(id, created=False, replayed=True)


def mismatched(id: str) -> Submitted:
    return Submitted(id, created=False, mismatched=True)


async def test_the_second_gets_the_first_ones_job(store: Store) -> None:
    assert await send(store, "a", key(store)) == created("a")
    start = await cursor(store)
    assert await send(store, "b", key(store)) == replayed("a")
    assert await store.get(["b"]) == [None]
    assert await entries(store, start) == []
    assert (await store.counts()).states[State.QUEUED] == 1


async def test_for_something_else_it_is_mismatched(store: Store) -> None:
    await send(store, "a", key(store))
    assert await send(store, "b", key(store, fingerprint="g")) == mismatched("a")
    assert await store.get(["b"]) == [None]
    assert await send(store, "c", key(store)) == replayed("a")


async def test_other_keys_and_none_are_free(store: Store) -> None:
    await send(store, "a", key(store))
    assert await send(store, "b", key(store, "other")) == created("b")
    assert await send(store, "c", None) == created("c")
    assert await send(store, "d", None) == created("d")


async def test_no_keys_at_all(store: Store) -> None:
    await send(store, "a", key(store))
    assert await store.submit([make_job(store.now(), "b")]) == [created("b")]


async def test_the_same_submit_told_twice_is_created(store: Store) -> None:
    """Whoever got no answer is told what it would have been."""
    given = key(store)
    assert await send(store, "a", given) == created("a")
    assert await send(store, "a", given) == created("a")


async def test_told_again_under_another_key_it_takes_no_second_one(store: Store) -> None:
    await send(store, "a", key(store))
    assert await send(store, "a", key(store, "other")) == created("a")
    assert await send(store, "b", key(store, "other")) == created("b")


async def test_of_two_in_one_call_the_first_wins(store: Store) -> None:
    jobs = [make_job(store.now(), id) for id in ("b", "a", "c", "d")]
    keys = [key(store), key(store), key(store, fingerprint="g"), None]
    assert await store.submit(jobs, keys) == [created("b"), replayed("b"), mismatched("b"), created("d")]


async def test_it_is_looked_at_before_the_unique_key(store: Store) -> None:
    await send(store, "a", key(store), unique_key="u")
    assert await send(store, "b", key(store), unique_key="u") == replayed("a")
    assert await send(store, "c", key(store), unique_key="v") == replayed("a")
    assert (await submit(store, "d", unique_key="v"))[0].id == "d"


async def test_what_the_unique_key_keeps_out_takes_no_key(store: Store) -> None:
    (holder,) = await submit(store, "a", unique_key="u")
    assert await send(store, "b", key(store), unique_key="u") == Submitted("a", created=False)
    await tell(store, holder, CancelRequested())
    assert await send(store, "c", key(store), unique_key="u") == created("c")


async def test_in_one_call_too(store: Store) -> None:
    jobs = [make_job(store.now(), id, unique_key="u") for id in ("a", "b")]
    jobs.append(make_job(store.now(), "c"))
    answers = await store.submit(jobs, [None, key(store), key(store)])
    assert answers == [created("a"), Submitted("a", created=False), created("c")]


async def test_it_holds_until_it_expires(store: Store, clock: ManualClock) -> None:
    await send(store, "a", key(store, lasts=1_000))
    clock.advance(0.999)
    assert await send(store, "b", key(store)) == replayed("a")
    clock.advance(0.001)
    assert await send(store, "c", key(store, fingerprint="g", lasts=1_000)) == created("c")
    assert await send(store, "d", key(store, fingerprint="g")) == replayed("c")
    clock.advance(1)
    assert await send(store, "e", key(store)) == created("e")


async def test_a_replay_does_not_make_it_last_longer(store: Store, clock: ManualClock) -> None:
    await send(store, "a", key(store, lasts=1_000))
    await send(store, "b", key(store, lasts=DAY))
    clock.advance(1)
    assert await send(store, "c", key(store)) == created("c")


async def test_one_that_has_expired_before_keeps_nobody_out(store: Store) -> None:
    assert await send(store, "a", key(store, lasts=0)) == created("a")
    assert await send(store, "b", key(store)) == created("b")


async def test_it_outlives_its_job(store: Store, clock: ManualClock) -> None:
    answer = await send(store, "a", key(store, lasts=3 * DAY))
    await send(store, "b", key(store, "other", lasts=3 * DAY))
    await tell(store, await read(store, answer.id), CancelRequested())
    await tell(store, await read(store, "b"), CancelRequested())
    assert await store.delete(["b"]) == [None]
    clock.advance(2 * DAY / 1000)
    assert await store.purge(10) == 1
    assert await store.get(["a", "b"]) == [None, None]
    assert await send(store, "c", key(store)) == replayed("a")
    assert await send(store, "c", key(store, "other")) == replayed("b")
    clock.advance(DAY / 1000)
    assert await store.purge(10) == 0
    assert await send(store, "c", key(store)) == created("c")


async def test_a_job_that_is_told_again_after_it_was_removed_is_a_replay(store: Store) -> None:
    given = key(store)
    await send(store, "a", given)
    await tell(store, await read(store, "a"), CancelRequested())
    await store.delete(["a"])
    assert await send(store, "a", given) == replayed("a")
    assert await store.get(["a"]) == [None]


@pytest.mark.parametrize("one", ["key", "Key", "kéy", "ke\u0301y", "key ", "key\x00", "", "{key}", "x" * 1_000])
async def test_names_are_compared_byte_by_byte(store: Store, one: str) -> None:
    names = ["key", "Key", "kéy", "ke\u0301y", "key ", "key\x00", "", "{key}", "x" * 1_000]
    for name in names:
        if name != one:
            await send(store, f"of {name}", key(store, name, f"f\x00 of {name}"))
    assert await send(store, "a", key(store, one)) == created("a")
    assert await send(store, "b", key(store, one)) == replayed("a")
    for name in names:
        if name != one:
            assert await send(store, "c", key(store, name, f"f\x00 of {name}")) == replayed(f"of {name}")


async def test_more_than_a_batch(store: Store) -> None:
    keys = [key(store, str(n % 300)) for n in range(600)]
    jobs = [make_job(store.now(), f"{n:03}") for n in range(600)]
    answers = await store.submit(jobs, keys)
    assert answers[:300] == [created(job.id) for job in jobs[:300]]
    assert answers[300:] == [replayed(job.id) for job in jobs[:300]]


async def test_of_many_at_once_one_is_stored(store: Store, open_store: OpenStore) -> None:
    stores = [store, await open_store(), await open_store()]
    answers = await asyncio.gather(*(send(stores[n % 3], str(n), key(store)) for n in range(60)))
    (first,) = [answer for answer in answers if answer.created]
    assert all(answer == replayed(first.id) for answer in answers if answer is not first)
    assert (await store.counts()).states[State.QUEUED] == 1
