"""`outbox`: deliveries are written with the change that they tell of, and tried until they are settled."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.delivery import Delivery, DeliveryState, after_try, replayed
from async_job.core.job import Change
from async_job.core.lifecycle import (
    CancelRequested,
    Event,
    Failed,
    LeaseLapsed,
    Overdue,
    Released,
    RetryRequested,
    Stopped,
    Succeeded,
)
from async_job.store.protocol import Stale, Store
from support.jobs import HOUR, LEASE, change, claim, end, error, read, run, submit, tell
from support.stores import OpenStore

DAY = 24 * HOUR
HOLD = 60_000


def delivery(job_id: str, id: str, at: int, **fields: Any) -> Delivery:
    given: dict[str, Any] = {"event": "job.succeeded", "target": "hook", "created_at": at, "due_at": at}
    return Delivery(id=id, job_id=job_id, **{**given, **fields})


def full_delivery(job_id: str, at: int) -> Delivery:
    """Something in every field."""
    return delivery(
        job_id,
        "msg ä\x00",
        at,
        event="job.failed",
        target="https://example.com/ä?{x}\x00",
        due_at=at + 5,
        state=DeliveryState.PENDING,
        tries=3,
        status=503,
        problem="ä\x00\n",
        tried_at=at - 1,
    )


async def cancel_with(store: Store, id: str, *deliveries: Delivery, **fields: Any) -> None:
    """Submits a job and cancels it, which writes these deliveries."""
    (job,) = await submit(store, id, **fields)
    decided = replace(change(job, CancelRequested(), store.now()), deliveries=deliveries)
    (answer,) = await store.apply([decided])
    assert not isinstance(answer, Stale)


async def put(store: Store, *ids: str, at: int = 0) -> list[Delivery]:
    """A delivery of these ids each, of a job of its own."""
    made = [delivery(f"of {id}", id, store.now() + at) for id in ids]
    for one in made:
        await cancel_with(store, one.job_id, one)
    return made


def held(store: Store, *deliveries: Delivery) -> list[Delivery]:
    """As somebody has taken them just now."""
    return [replace(one, due_at=store.now() + HOLD) for one in deliveries]


async def all_of(store: Store) -> list[Delivery]:
    return await store.outbox.recent(1_000)


class TestWriting:
    async def test_none(self, store: Store) -> None:
        await end(store, "a")
        assert await store.outbox.take(10, HOLD) == []
        assert await store.outbox.deliveries("a") == []
        assert await store.outbox.deliveries("nobody") == []
        assert await store.outbox.recent(10) == []

    async def test_every_field_is_kept(self, store: Store) -> None:
        given = full_delivery("a", store.now())
        await cancel_with(store, "a", given)
        assert await store.outbox.deliveries("a") == [given]
        assert await store.outbox.recent(10) == [given]

    @pytest.mark.parametrize("event", [Succeeded("w:1", b"1"), Failed("w:1", error(retryable=False)), Stopped("w:1")])
    async def test_the_end_of_a_job_with_a_webhook_writes_one(self, store: Store, event: Event) -> None:
        (job,) = await run(store, "a", webhook="hook")
        decided = change(job, event, store.now())
        assert len(decided.deliveries) == 1
        await store.apply([decided])
        assert await store.outbox.deliveries("a") == list(decided.deliveries)
        assert await store.outbox.take(10, HOLD) == held(store, *decided.deliveries)

    async def test_the_end_of_one_that_never_ran_does_too(self, store: Store) -> None:
        await end(store, "a", webhook="hook")
        (job,) = await submit(store, "b", webhook="hook", start_by=store.now())
        await tell(store, job, Overdue())
        assert sorted((d.job_id, d.event) for d in await all_of(store)) == [
            ("a", "job.cancelled"),
            ("b", "job.expired"),
        ]

    async def test_a_rescue_that_ends_a_job_writes_one(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a", webhook="hook", max_crashes=1)
        clock.advance(LEASE / 1000)
        await tell(store, job, LeaseLapsed("w:1"))
        assert [one.event for one in await store.outbox.deliveries("a")] == ["job.failed"]

    async def test_what_is_no_end_writes_none(self, store: Store) -> None:
        (job,) = await run(store, "a", webhook="hook")
        await tell(store, job, Released("w:1"))
        assert await all_of(store) == []

    async def test_several_of_one_change(self, store: Store) -> None:
        given = [delivery("a", id, store.now()) for id in ("c", "a", "b")]
        await cancel_with(store, "a", *given)
        assert [one.id for one in await store.outbox.deliveries("a")] == ["a", "b", "c"]

    async def test_each_end_writes_one(self, store: Store, clock: ManualClock) -> None:
        (cancelled,) = await end(store, "a", webhook="hook")
        clock.advance(1)
        retried = await tell(store, cancelled, RetryRequested())
        await tell(store, retried, CancelRequested())
        found = await store.outbox.deliveries("a")
        assert [one.created_at for one in found] == [clock.now() - 1_000, clock.now()]

    async def test_two_ends_in_the_same_instant_have_a_message_each(self, store: Store) -> None:
        (cancelled,) = await end(store, "a", webhook="hook")
        (first,) = await store.outbox.deliveries("a")
        retried = await tell(store, cancelled, RetryRequested())
        await tell(store, retried, CancelRequested())
        both = await store.outbox.deliveries("a")
        assert len(both) == 2
        assert first in both
        assert len(await store.outbox.take(10, HOLD)) == 2


class TestOnlyWithTheChange:
    async def stale(self, store: Store, *changes: Change) -> None:
        written = await all_of(store)
        assert all(isinstance(answer, Stale) for answer in await store.apply(changes))
        assert await all_of(store) == written

    async def test_a_guard_that_does_not_hold(self, store: Store) -> None:
        (job,) = await run(store, "a", webhook="hook")
        outcome = change(job, Failed("w:1", error(retryable=False)), store.now())
        assert outcome.deliveries
        await tell(store, job, CancelRequested())
        await self.stale(store, outcome)

    async def test_a_late_run(self, store: Store) -> None:
        (job,) = await run(store, "a", webhook="hook")
        outcome = change(job, Succeeded("w:1", b"1"), store.now())
        await tell(store, job, Released("w:1"))
        await claim(store, 2)
        await self.stale(store, outcome)

    async def test_a_job_that_is_gone(self, store: Store) -> None:
        (job,) = await submit(store, "a", webhook="hook")
        decided = change(job, CancelRequested(), store.now())
        await store.apply([decided])
        await store.delete(["a"])
        await self.stale(store, decided)

    async def test_a_unique_key_that_another_holds(self, store: Store) -> None:
        (ended,) = await end(store, "a", unique_key="k")
        await submit(store, "b", unique_key="k")
        decided = change(ended, RetryRequested(), store.now())
        await self.stale(store, replace(decided, deliveries=(delivery("a", "x", store.now()),)))

    async def test_an_outcome_told_again_writes_none(self, store: Store, open_store: OpenStore) -> None:
        """Also when the first delivery was made meanwhile."""
        (job,) = await run(store, "a", webhook="hook")
        outcome = change(job, Succeeded("w:1", b"1"), store.now())
        (first,) = await store.apply([outcome])
        (taken,) = await store.outbox.take(10, HOLD)
        settled = after_try(taken, 204, "", store.now())
        await store.outbox.settle([settled])
        other = await open_store()
        assert await other.apply([outcome, outcome]) == [first, first]
        assert await all_of(store) == [settled]

    async def test_each_change_of_a_call_on_its_own(self, store: Store) -> None:
        jobs = await submit(store, "a", "b", "c", webhook="hook")
        changes = [change(job, CancelRequested(), store.now()) for job in jobs]
        await store.delete([(await tell(store, jobs[1], CancelRequested())).id])
        await store.apply(changes)
        assert sorted(one.job_id for one in await all_of(store)) == ["a", "c"]


class TestTaking:
    async def test_when_it_is_due(self, store: Store, clock: ManualClock) -> None:
        given = await put(store, "a", at=1_000)
        clock.advance(0.999)
        assert await store.outbox.take(10, HOLD) == []
        clock.advance(0.001)
        assert await store.outbox.take(10, HOLD) == held(store, *given)

    async def test_what_is_taken_is_put_off(self, store: Store, clock: ManualClock) -> None:
        given = held(store, *await put(store, "a"))
        assert await store.outbox.take(10, HOLD) == given
        assert await store.outbox.deliveries("of a") == given
        clock.advance((HOLD - 1) / 1000)
        assert await store.outbox.take(10, HOLD) == []
        clock.advance(0.001)
        assert await store.outbox.take(10, HOLD) == held(store, *given)

    async def test_the_oldest_first_then_by_id_and_not_more_than_the_limit(
        self, store: Store, clock: ManualClock
    ) -> None:
        await put(store, "c", at=2)
        await put(store, "d", "b", at=1)
        await put(store, "e", at=HOUR)
        await put(store, "a", at=3)
        clock.advance(1)
        taken = [[one.id for one in await store.outbox.take(limit, HOLD)] for limit in (0, 2, 1, 10, 10)]
        assert taken == [[], ["b", "d"], ["c"], ["a"], []]

    async def test_nobody_takes_what_another_has(self, store: Store, open_store: OpenStore) -> None:
        given = await put(store, *(f"{n:02}" for n in range(40)))
        stores = [store, await open_store(), await open_store()]
        taken = await asyncio.gather(*(stores[n % 3].outbox.take(5, HOLD) for n in range(12)))
        assert sorted((one for some in taken for one in some), key=lambda one: one.id) == held(store, *given)

    async def test_more_than_a_batch(self, store: Store) -> None:
        given = [delivery("a", f"{n:03}", store.now()) for n in range(400)]
        await cancel_with(store, "a", *given)
        found: list[Delivery] = []
        while some := await store.outbox.take(300, HOLD):
            found += some
        assert found == held(store, *given)
        assert len(await store.outbox.deliveries("a")) == 400


class TestSettling:
    async def test_delivered(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        (taken,) = await store.outbox.take(10, HOLD)
        settled = after_try(taken, 200, "", store.now())
        await store.outbox.settle([settled])
        assert await store.outbox.deliveries("of a") == [settled]
        clock.advance(DAY / 2_000)
        assert await store.outbox.take(10, HOLD) == []

    async def test_to_be_tried_again(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        (taken,) = await store.outbox.take(10, HOLD)
        again = after_try(taken, None, "ä\x00 no answer", store.now())
        await store.outbox.settle([again])
        clock.advance((again.due_at - clock.now() - 1) / 1000)
        assert await store.outbox.take(10, HOLD) == []
        clock.advance(0.001)
        assert await store.outbox.take(10, HOLD) == held(store, again)

    async def test_given_up_and_replayed(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        (taken,) = await store.outbox.take(10, HOLD)
        given_up = after_try(taken, 410, "gone", store.now())
        await store.outbox.settle([given_up])
        clock.advance(HOUR / 1000)
        assert await store.outbox.take(10, HOLD) == []
        again = replayed(given_up, clock.now())
        await store.outbox.settle([again])
        assert await store.outbox.take(10, HOLD) == held(store, again)

    async def test_what_was_replayed_meanwhile_stays_so(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a", "b")
        taken = await store.outbox.take(10, HOLD)
        again = replayed(taken[0], store.now())
        await store.outbox.settle([again])
        tried = [after_try(one, 200, "", store.now()) for one in taken]
        await store.outbox.settle(tried, taken)
        assert await store.outbox.deliveries("of a") == [again]
        assert await store.outbox.deliveries("of b") == [tried[1]]
        assert await store.outbox.take(10, HOLD) == held(store, again)

    async def test_what_another_has_taken_meanwhile_is_for_that_one(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        late = await store.outbox.take(10, HOLD)
        clock.advance(HOLD / 1000)
        taken = await store.outbox.take(10, HOLD)
        await store.outbox.settle([after_try(late[0], 500, "", store.now())], late)
        assert await store.outbox.deliveries("of a") == taken
        delivered = after_try(taken[0], 200, "", store.now())
        await store.outbox.settle([delivered], taken)
        assert await store.outbox.deliveries("of a") == [delivered]

    async def test_what_nobody_took_meanwhile_is_settled_late(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        taken = await store.outbox.take(10, HOLD)
        clock.advance(2 * HOLD / 1000)
        delivered = after_try(taken[0], 200, "", store.now())
        await store.outbox.settle([delivered], taken)
        assert await store.outbox.deliveries("of a") == [delivered]

    async def test_each_of_many_and_in_order(self, store: Store) -> None:
        a, b, c = await put(store, "a", "b", "c")
        done = [after_try(one, 200, "", store.now()) for one in (a, c)]
        await store.outbox.settle([done[0], replace(done[1], tries=9), done[1]])
        assert sorted(await all_of(store), key=lambda one: one.id) == [done[0], b, done[1]]
        await store.outbox.settle([])

    async def test_what_is_not_there_is_left_out(self, store: Store, clock: ManualClock) -> None:
        (one,) = await put(store, "a")
        strange = delivery("of a", "x", store.now())
        await store.outbox.settle([strange, after_try(one, 200, "", store.now())])
        assert [one.id for one in await all_of(store)] == ["a"]
        assert await store.outbox.take(10, HOLD) == []


class TestReading:
    async def test_those_of_a_job_by_time_and_id(self, store: Store) -> None:
        now = store.now()
        given = [
            delivery("a", id, at) for id, at in (("b", now), ("ä", now), ("B", now), ("z", now - 5), ("0", now + 5))
        ]
        await cancel_with(store, "a", *given)
        await put(store, "c")
        assert [one.id for one in await store.outbox.deliveries("a")] == ["z", "B", "b", "ä", "0"]
        assert [one.id for one in await store.outbox.deliveries("of c")] == ["c"]

    async def test_the_newest_of_all(self, store: Store, clock: ManualClock) -> None:
        await put(store, "b", "c", "a")
        clock.advance(1)
        await put(store, "0")
        assert [one.id for one in await store.outbox.recent(10)] == ["0", "c", "b", "a"]
        assert [one.id for one in await store.outbox.recent(2)] == ["0", "c"]
        assert await store.outbox.recent(0) == []

    async def test_a_try_does_not_make_it_newer(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a")
        clock.advance(1)
        await put(store, "b")
        (taken, _) = await store.outbox.take(2, HOLD)
        await store.outbox.settle([after_try(taken, 500, "", store.now())])
        assert [one.id for one in await store.outbox.recent(10)] == ["b", "a"]


class TestRemoving:
    async def test_purged_with_its_job(self, store: Store, clock: ManualClock) -> None:
        await put(store, "a", "b")
        (taken,) = await store.outbox.take(1, HOLD)
        await store.outbox.settle([after_try(taken, 200, "", store.now())])
        clock.advance(DAY / 2_000)
        await put(store, "c")
        clock.advance(DAY / 2_000)
        assert await store.purge(10) == 2
        assert await store.outbox.deliveries("of a") == []
        assert [one.id for one in await all_of(store)] == ["c"]
        assert [one.id for one in await store.outbox.take(10, HOLD)] == ["c"]

    async def test_deleted_with_its_job(self, store: Store) -> None:
        await put(store, "a", "b")
        assert await store.delete(["of a"]) == [None]
        assert await store.outbox.deliveries("of a") == []
        assert [one.id for one in await all_of(store)] == ["b"]
        assert [one.id for one in await store.outbox.take(10, HOLD)] == ["b"]

    async def test_a_settle_that_comes_too_late(self, store: Store) -> None:
        await put(store, "a")
        (taken,) = await store.outbox.take(10, HOLD)
        await store.delete(["of a"])
        await store.outbox.settle([after_try(taken, 500, "", store.now())])
        assert await all_of(store) == []
        assert await store.get(["of a"]) == [None]

    async def test_not_with_a_retry(self, store: Store) -> None:
        (cancelled,) = await end(store, "a", webhook="hook")
        await tell(store, cancelled, RetryRequested())
        assert len(await store.outbox.deliveries("a")) == 1
        assert (await read(store, "a")).webhook == "hook"
