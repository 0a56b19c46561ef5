"""Lost replies: whoever got no answer asks again, gets the same answer, and nothing happens twice."""

from collections.abc import Awaitable, Callable

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Job, LogLine, Progress
from async_job.core.lifecycle import Crashed, Event, Failed, NotKnown, Released, Stopped, Succeeded
from async_job.store.protocol import Beat, ClaimId, IdempotencyKey, Stale, Store
from support.jobs import LEASE, change, cursor, entries, error, make_job, make_worker, run, submit
from support.stores import OpenStore

Call = Callable[[Store], Awaitable[object]]


def _by_id(job: Job) -> str:
    return job.id


async def submit_some(store: Store) -> object:
    now = 1_700_000_000_000
    keys = (None, "k", "k", "l")
    return await store.submit([make_job(now, f"s{n}", unique_key=key) for n, key in enumerate(keys)])


async def submit_with_keys(store: Store) -> object:
    now = 1_700_000_000_000
    keys = [IdempotencyKey(name, "f", now * 2) for name in ("k", "k", "l", "m")]
    unique = (None, None, "u", "u")
    return await store.submit([make_job(now, f"s{n}", unique_key=key) for n, key in enumerate(unique)], keys)


async def delete(store: Store) -> object:
    return await store.delete(["a", "c", "nobody"])


async def pause(store: Store) -> object:
    return await store.administration.pause("default")


async def put_document(store: Store) -> object:
    return await store.administration.put_document("key", "a", b"1")


async def enroll(store: Store) -> object:
    return await store.enroll(make_worker("v"), LEASE)


async def extend(store: Store) -> object:
    return await store.extend(["w", "nobody"], LEASE)


async def retire(store: Store) -> object:
    return sorted(await store.retire("w"), key=_by_id)


async def claim(store: Store) -> object:
    claimed = await store.claim(ClaimId("w", 2), ["default", "other"], 2)
    return sorted(claimed.jobs, key=_by_id), claimed.next_due


async def report(store: Store) -> object:
    return await store.report([Beat("a", "w:1", Progress(1)), Beat("nobody", "w:1", Progress(1))])


@pytest.mark.parametrize(
    "call", [submit_some, submit_with_keys, delete, pause, put_document, enroll, extend, retire, claim]
)
async def test_a_call_repeated_by_another_connection(store: Store, open_store: OpenStore, call: Call) -> None:
    await run(store, "a", "b")
    await submit(store, "c", "d", "e", "f")
    await submit(store, "g", queue="other")
    await submit(store, "h", delay=500)
    first = await call(store)
    jobs = await store.get([*"abcdefgh", "s0", "s1", "s2", "s3"])
    start = await cursor(store)
    other = await open_store()
    assert await call(other) == first
    assert await call(store) == first
    assert await store.get([*"abcdefgh", "s0", "s1", "s2", "s3"]) == jobs
    assert await entries(store, start) == []


async def test_a_beat_repeated_gets_the_same_answer(store: Store) -> None:
    await run(store, "a")
    assert await report(store) == await report(store)


EVENTS: list[Event] = [
    Succeeded("w:1", b"1", Progress(1), (LogLine(1, "x"),)),
    Failed("w:1", error(), log=(LogLine(1, "x"),)),
    Failed("w:1", error(retryable=False)),
    Stopped("w:1"),
    Released("w:1"),
    NotKnown("w:1"),
    Crashed("w:1", "signal 9", alone=True),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__.lower())
@pytest.mark.parametrize("later", [0, 3600])
async def test_an_outcome_repeated_by_another_connection(
    store: Store, open_store: OpenStore, clock: ManualClock, event: Event, later: int
) -> None:
    (job,) = await run(store, "a")
    decided = change(job, event, clock.now())
    first = await store.apply([decided])
    log = await store.log("a")
    start = await cursor(store)
    clock.advance(later)
    other = await open_store()
    assert await other.apply([decided]) == first
    assert await store.apply([decided, decided]) == first * 2
    assert await store.get(["a"]) == first
    assert await store.log("a") == log
    assert await entries(store, start) == []


async def test_an_outcome_repeated_after_promotion_meets_the_job_as_it_is(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a")
    decided = change(job, Failed("w:1", error(), delay=1_000), clock.now())
    await store.apply([decided])
    clock.advance(1)
    await store.claim(ClaimId("w", 2), ["other"], 1)
    (promoted,) = await store.get(["a"])
    assert promoted is not None
    assert promoted.reason == "due"
    assert await store.apply([decided]) == [promoted]


async def test_a_group_repeated_after_half_of_it_went_on(store: Store) -> None:
    a, b = await run(store, "a", "b")
    group = [change(job, Released("w:1"), 5) for job in (a, b)]
    first = await store.apply(group)
    claimed = (await store.claim(ClaimId("w", 2), ["default"], 1)).jobs
    assert await store.apply(group) == [Stale(claimed[0]), first[1]]


async def test_a_purge_repeated_purges_the_next(store: Store, clock: ManualClock) -> None:
    jobs = await run(store, "a", "b", "c")
    await store.apply([change(job, Succeeded("w:1", b"1"), clock.now()) for job in jobs])
    clock.advance(24 * 3600)
    assert [await store.purge(2) for _ in range(3)] == [2, 1, 0]
