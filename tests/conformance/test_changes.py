"""`changes`: the change log."""

import asyncio

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Progress, State
from async_job.core.lifecycle import CancelRequested, Failed, LeaseLapsed, Succeeded
from async_job.store.protocol import Beat, Changes, Entry, Store
from support.jobs import (
    LEASE,
    change,
    claim,
    cursor,
    entries,
    error,
    make_job,
    make_worker,
    run,
    submit,
    tell,
)
from support.stores import OpenStore

PATIENCE = 30
"""Seconds that a wait may take before it counts as lost; it ends much sooner."""


async def test_from_now_on(store: Store) -> None:
    await submit(store, "a")
    now = await store.changes(None, PATIENCE)
    assert (now.entries, now.reset) == ([], False)
    assert await store.changes(now.cursor, 0) == Changes([], now.cursor)


async def test_an_entry_for_each_version(store: Store, clock: ManualClock) -> None:
    start = await cursor(store)
    await submit(store, "a", delay=1_000)
    clock.advance(1)
    await store.enroll(make_worker(), LEASE)
    (job,) = await claim(store, 1)
    await store.report([Beat("a", "w:1", Progress(1))])
    await tell(store, job, CancelRequested())
    clock.advance(LEASE)
    asked = (await store.get(["a"]))[0]
    assert asked is not None
    await tell(store, asked, LeaseLapsed("w:1"))
    assert await entries(store, start) == [
        Entry("a", 1, State.SCHEDULED, "submitted"),
        Entry("a", 2, State.QUEUED, "due"),
        Entry("a", 3, State.RUNNING, "claimed"),
        Entry("a", 5, State.RUNNING, "cancel_requested"),
        Entry("a", 6, State.CANCELLED, "cancelled"),
    ]


async def test_in_the_order_of_the_calls(store: Store) -> None:
    start = await cursor(store)
    jobs = await run(store, "b", "a")
    await store.apply([change(job, Succeeded("w:1", b"1"), 9) for job in jobs])
    found = await entries(store, start)
    assert [{entry.id for entry in found[at : at + 2]} for at in (0, 2, 4)] == [{"a", "b"}] * 3
    assert [entry.state for entry in found] == [State.QUEUED] * 2 + [State.RUNNING] * 2 + [State.SUCCEEDED] * 2


async def test_jobs_come_along(store: Store) -> None:
    start = await store.changes(None, 0, ["a"])
    assert start.jobs == {"a": None}
    [job] = await submit(store, "a")
    waiting = asyncio.ensure_future(store.changes(start.cursor, PATIENCE, ["a", "nobody", ""]))
    first = await waiting
    assert first.jobs == {"a": job, "nobody": None, "": None}
    waiting = asyncio.ensure_future(store.changes(first.cursor, PATIENCE, ["a"]))
    await asyncio.sleep(0)
    ended = await tell(store, job, CancelRequested())
    second = await waiting
    assert [entry.state for entry in second.entries] == [State.CANCELLED]
    assert second.jobs == {"a": ended}
    assert (await store.changes(second.cursor, 0, ["a"])).jobs == {"a": ended}
    assert (await store.changes("nonsense", 0, ["a"])).jobs == {"a": ended}


async def test_going_on_from_each_cursor(store: Store) -> None:
    after = await cursor(store)
    seen = []
    for id in "abc":
        await submit(store, id)
        answer = await store.changes(after, PATIENCE)
        seen += [entry.id for entry in answer.entries]
        after = answer.cursor
    assert seen == ["a", "b", "c"]
    assert (await store.changes(after, 0)).entries == []


async def test_a_cursor_may_be_used_again(store: Store) -> None:
    after = await cursor(store)
    await submit(store, "a", "b")
    assert await store.changes(after, 0) == await store.changes(after, 0)
    assert sorted(entry.id for entry in await entries(store, after)) == ["a", "b"]


async def test_nothing_written_is_no_entry(store: Store) -> None:
    (job,) = await submit(store, "a", unique_key="k")
    after = await cursor(store)
    await store.submit([job, make_job(1, "b", unique_key="k")])
    await store.enroll(make_worker(), LEASE)
    await store.apply([change(make_job(1, "nobody"), CancelRequested(), 1)])
    await claim(store, queues=("other",))
    assert (await store.changes(after, 0)).entries == []


@pytest.mark.parametrize(
    "after", ["", "nonsense", "-1", "99999999999999-0", "9" * 30, "9" * 5_000, "٣", "1-2-3", "☃", "0x1"]
)
async def test_a_cursor_that_was_never_given_is_reset(store: Store, after: str) -> None:
    await submit(store, "a")
    answer = await store.changes(after, PATIENCE)
    assert (answer.entries, answer.reset) == ([], True)
    await submit(store, "b")
    assert [entry.id for entry in await entries(store, answer.cursor)] == ["b"]


async def test_a_cursor_from_long_ago_is_reset_or_complete(store: Store) -> None:
    """The log is trimmed. Whoever was away for long is told so, or misses nothing."""
    start = await cursor(store)
    jobs = [make_job(store.now()) for _ in range(12_000)]
    await store.submit(jobs)
    answer = await store.changes(start, 0)
    if not answer.reset:
        assert sorted(entry.id for entry in await entries(store, start)) == sorted(job.id for job in jobs)
    else:
        assert answer.entries == []
    await submit(store, "last")
    after = answer.cursor if answer.reset else (await store.changes(start, 0)).cursor
    assert (await entries(store, after))[-1].id == "last"


@pytest.mark.parametrize("waiters", [1, 20])
async def test_a_waiter_hears_of_a_write(store: Store, open_store: OpenStore, waiters: int) -> None:
    other = await open_store()
    start = await cursor(store)
    waiting = [asyncio.ensure_future(store.changes(start, PATIENCE)) for _ in range(waiters)]
    await asyncio.sleep(0)
    await submit(other, "a")
    for answer in await asyncio.gather(*waiting):
        assert answer.entries == [Entry("a", 1, State.QUEUED, "submitted")]


async def test_a_waiter_hears_of_each_kind_of_write(store: Store, clock: ManualClock) -> None:
    await store.enroll(make_worker(), LEASE)
    await submit(store, "a")
    for n, state in enumerate((State.SCHEDULED, State.SUCCEEDED), 1):
        after = await cursor(store)
        waiting = asyncio.ensure_future(store.changes(after, PATIENCE))
        await asyncio.sleep(0)
        (job,) = await claim(store, n)
        claimed = await waiting
        assert [entry.state for entry in claimed.entries][-1] is State.RUNNING
        waiting = asyncio.ensure_future(store.changes(await cursor(store), PATIENCE))
        await asyncio.sleep(0)
        token = job.token or ""
        event = Succeeded(token, b"1") if state is State.SUCCEEDED else Failed(token, error(), delay=1)
        await tell(store, job, event)
        assert [entry.state for entry in (await waiting).entries] == [state]
        clock.advance(1)


async def test_a_waiter_may_give_up(store: Store) -> None:
    start = await cursor(store)
    waiting = asyncio.ensure_future(store.changes(start, PATIENCE))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await submit(store, "a")
    assert [entry.id for entry in (await store.changes(start, PATIENCE)).entries] == ["a"]


async def test_without_news_it_answers_in_the_end(store: Store) -> None:
    start = await cursor(store)
    assert await store.changes(start, 0.02) == Changes([], start)
