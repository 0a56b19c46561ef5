"""`claim`: promotes what is due, and gives a worker queued jobs in order."""

import pytest
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, Failed, Released, Succeeded
from async_job.errors import LeaseOver, NotEnrolled, StaleClaim
from async_job.store.protocol import BATCH, ClaimId, Store
from support.jobs import LEASE, claim, cursor, entries, error, make_job, make_worker, read, run, submit, tell


@pytest.fixture
async def store(store: Store) -> Store:
    await store.enroll(make_worker(), LEASE)
    return store


async def claimed_ids(store: Store, n: int = 1, queues: tuple[str, ...] = ("default",), limit: int = 100) -> list[str]:
    return [job.id for job in await claim(store, n, queues=queues, limit=limit)]


async def test_what_a_claim_writes(store: Store, clock: ManualClock) -> None:
    (job,) = await submit(store, "a", priority=2, labels={"x": "y"})
    clock.advance(1)
    (claimed,) = await claim(store, 7)
    assert claimed == replace(
        job,
        state=State.RUNNING,
        reason="claimed",
        version=2,
        life="2r",
        attempt=1,
        token="w:7",
        started_at=clock.now(),
        updated_at=clock.now(),
    )
    assert await read(store, "a") == claimed


async def test_an_empty_queue_gives_nothing(store: Store) -> None:
    await submit(store, "a", queue="other")
    answer = await store.claim(ClaimId("w", 1), ["default"], 10)
    assert (answer.jobs, answer.next_due) == ([], None)
    assert await claimed_ids(store, 2, ()) == []


async def test_not_more_than_the_limit(store: Store) -> None:
    await submit(store, *"abcde")
    assert await claimed_ids(store, 1, limit=2) == ["a", "b"]
    assert await claimed_ids(store, 2, limit=0) == []
    assert await claimed_ids(store, 3, limit=100) == ["c", "d", "e"]


async def test_a_job_is_claimed_once(store: Store) -> None:
    await store.enroll(make_worker("v"), LEASE)
    await submit(store, "a")
    assert await claimed_ids(store) == ["a"]
    assert await claim(store, 1, "v") == []


async def test_more_than_a_batch_is_queued(store: Store) -> None:
    ids = [f"{n:03}" for n in range(600)]
    await submit(store, *ids)
    found: list[str] = []
    for n in range(1, 10):
        found += await claimed_ids(store, n, limit=400)
    assert found == ids


class TestOrder:
    async def test_the_earlier_first(self, store: Store, clock: ManualClock) -> None:
        for id in ("c", "a", "b"):
            await submit(store, id)
            clock.advance(0.001)
        assert await claimed_ids(store) == ["c", "a", "b"]

    async def test_at_the_same_time_by_id(self, store: Store) -> None:
        ids = ["b", "a10", "a", "B", "a\x00", "ä", "☃", "a9", "𝄞", "\uffff"]
        await submit(store, *ids)
        assert await claimed_ids(store) == sorted(ids)

    async def test_the_higher_priority_first(self, store: Store) -> None:
        for id, priority in (("a", 0), ("b", 9), ("c", -9), ("d", 1)):
            await submit(store, id, priority=priority)
        assert await claimed_ids(store) == ["b", "d", "a", "c"]

    @pytest.mark.parametrize(("waited", "order"), [(59_999, ["b", "a"]), (60_000, ["a", "b"]), (60_001, ["a", "b"])])
    async def test_a_minute_of_waiting_is_worth_a_step(
        self, store: Store, clock: ManualClock, waited: int, order: list[str]
    ) -> None:
        await submit(store, "a", priority=0)
        clock.advance(waited / 1000)
        await store.extend(["w"], LEASE)
        await submit(store, "b", priority=1)
        assert await claimed_ids(store) == order

    async def test_a_delay_counts_from_when_it_is_over(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", delay=2_000)
        clock.advance(1)
        await submit(store, "b")
        clock.advance(2)
        await submit(store, "c")
        assert await claimed_ids(store) == ["b", "a", "c"]

    async def test_the_first_queue_first(self, store: Store) -> None:
        await submit(store, "a", queue="one", priority=-9)
        await submit(store, "b", queue="two", priority=9)
        await submit(store, "c", queue="one")
        await submit(store, "d", queue="three")
        assert await claimed_ids(store, 1, ("one", "two")) == ["c", "a", "b"]

    async def test_the_next_queue_fills_up_to_the_limit(self, store: Store) -> None:
        await submit(store, "a", "b", queue="one")
        await submit(store, "c", "d", queue="two")
        assert await claimed_ids(store, 1, ("two", "missing", "one"), limit=3) == ["c", "d", "a"]

    async def test_a_queue_named_twice_counts_once(self, store: Store) -> None:
        await submit(store, "a", "b")
        assert await claimed_ids(store, 1, ("default", "default")) == ["a", "b"]
        assert (await read(store, "a")).attempt == 1

    async def test_a_job_given_back_keeps_its_rank(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "z")
        clock.advance(1)
        await submit(store, "a")
        await tell(store, job, Released(job.token or ""))
        assert await claimed_ids(store, 2) == ["z", "a"]

    async def test_a_job_tried_again_ranks_by_its_new_time(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        await tell(store, job, Failed("w:1", error(), delay=2_000))
        clock.advance(1)
        await submit(store, "b")
        clock.advance(1)
        assert await claimed_ids(store, 2) == ["b", "a"]


class TestPromotion:
    async def test_when_its_time_has_come(self, store: Store, clock: ManualClock) -> None:
        (job,) = await submit(store, "a", delay=1_000)
        clock.advance(0.999)
        assert await claimed_ids(store, 1) == []
        assert await read(store, "a") == job
        clock.advance(0.001)
        assert await claimed_ids(store, 2) == ["a"]
        assert (await read(store, "a")).version == 3

    async def test_what_it_writes(self, store: Store, clock: ManualClock) -> None:
        (job,) = await submit(store, "a", delay=1_000, queue="other")
        clock.advance(5)
        assert await claimed_ids(store) == []
        assert await read(store, "a") == replace(
            job, state=State.QUEUED, reason="due", version=2, life="2q", updated_at=clock.now()
        )

    async def test_the_next_due_time_is_told(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", delay=2_000)
        await submit(store, "b", delay=1_000)
        assert (await store.claim(ClaimId("w", 1), ["default"], 1)).next_due == clock.now() + 1_000
        clock.advance(1)
        assert (await store.claim(ClaimId("w", 2), ["default"], 1)).next_due == clock.now() + 1_000
        clock.advance(1)
        assert (await store.claim(ClaimId("w", 3), ["default"], 1)).next_due is None

    async def test_more_than_a_batch_the_oldest_first(self, store: Store, clock: ManualClock) -> None:
        ids = [f"{999 - n}" for n in range(2 * BATCH)]
        await store.submit([make_job(store.now(), id, delay=1 + n) for n, id in enumerate(ids)])
        clock.advance(5)
        await claim(store, 1, limit=0)
        states = [job.state for job in await store.get(ids) if job]
        assert states == [State.QUEUED] * BATCH + [State.SCHEDULED] * BATCH
        await claim(store, 2, limit=0)
        assert (await store.counts()).states[State.QUEUED] == 2 * BATCH

    async def test_a_job_that_was_cancelled_is_not_promoted(self, store: Store, clock: ManualClock) -> None:
        (job,) = await submit(store, "a", delay=1_000)
        await tell(store, job, CancelRequested())
        clock.advance(2)
        assert await claimed_ids(store) == []


class TestDeadline:
    async def test_past_it_a_job_stays_queued(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", start_by=clock.now() + 1_000)
        await submit(store, "b", "c", start_by=clock.now() + 1_001)
        clock.advance(1)
        assert await claimed_ids(store, limit=1) == ["b"]
        assert (await read(store, "a")).state is State.QUEUED
        assert [job.id for job in await store.overdue(10)] == ["a"]

    async def test_many_overdue_jobs_hold_up_none_behind_them(self, store: Store, clock: ManualClock) -> None:
        await submit(store, *(f"{n:03}" for n in range(600)), start_by=clock.now() + 1_000)
        await submit(store, "x")
        clock.advance(2)
        assert await claimed_ids(store, limit=1) == ["x"]

    async def test_past_it_a_scheduled_job_is_promoted_only(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", delay=1_000, start_by=clock.now() + 1_500)
        clock.advance(2)
        assert await claimed_ids(store) == []
        assert (await read(store, "a")).state is State.QUEUED

    async def test_it_binds_the_first_start_only(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a", start_by=clock.now() + 1_000)
        clock.advance(2)
        await tell(store, job, Released("w:1"))
        assert await store.overdue(10) == []
        assert await claimed_ids(store, 2) == ["a"]


class TestClaimIds:
    async def test_again_it_gives_the_same_jobs(self, store: Store) -> None:
        await submit(store, "a", "b", "c")
        jobs = await claim(store, 1, limit=2)
        start = await cursor(store)
        assert sorted(await claim(store, 1, limit=2), key=lambda job: job.id) == jobs
        assert sorted(await claim(store, 1, limit=100), key=lambda job: job.id) == jobs
        assert await entries(store, start) == []

    async def test_again_it_promotes_nothing(self, store: Store, clock: ManualClock) -> None:
        await claim(store, 1)
        await submit(store, "a", delay=1_000)
        clock.advance(1)
        again = await store.claim(ClaimId("w", 1), ["default"], 10)
        assert (again.jobs, again.next_due) == ([], clock.now())
        assert (await read(store, "a")).state is State.SCHEDULED

    async def test_an_empty_claim_again_is_empty(self, store: Store) -> None:
        assert await claim(store, 1) == []
        await submit(store, "a")
        assert await claim(store, 1) == []

    async def test_again_it_leaves_out_what_has_ended_or_gone(self, store: Store) -> None:
        a, b, c = await run(store, "a", "b", "c")
        await tell(store, a, Succeeded("w:1", b"1"))
        await tell(store, b, Released("w:1"))
        assert await claim(store, 1) == [c]

    async def test_again_it_leaves_out_what_a_later_claim_took(self, store: Store) -> None:
        a, *_ = await run(store, "a", "b")
        await tell(store, a, Released("w:1"))
        (later,) = await claim(store, 2)
        assert (later.id, later.token) == ("a", "w:2")
        assert await claim(store, 2) == [later]

    async def test_again_after_the_lease_it_is_answered(self, store: Store, clock: ManualClock) -> None:
        jobs = await run(store, "a")
        clock.advance(LEASE / 1000)
        assert await claim(store, 1) == jobs

    async def test_the_one_before_the_last_gets_its_jobs_again(self, store: Store) -> None:
        for name in "abc":
            await submit(store, name)
        first = await claim(store, 1, limit=2)
        [c] = await claim(store, 2)
        assert await claim(store, 1, limit=2) == first
        assert await claim(store, 2) == [c]
        await tell(store, first[0], Succeeded("w:1", b"1"))
        assert await claim(store, 1, limit=2) == first[1:]

    async def test_the_one_before_the_last_claims_nothing_if_it_was_never_made(self, store: Store) -> None:
        await claim(store, 5)
        await submit(store, "a")
        await submit(store, "b", delay=0)
        assert await claim(store, 4) == []
        assert await claimed_ids(store, 6) == ["a", "b"]

    async def test_the_one_before_the_last_is_answered_after_the_lease(self, store: Store, clock: ManualClock) -> None:
        jobs = await run(store, "a")
        await claim(store, 2)
        clock.advance(LEASE / 1000)
        assert await claim(store, 1) == jobs

    async def test_a_lower_one_is_refused(self, store: Store) -> None:
        await claim(store, 5)
        await submit(store, "a")
        with pytest.raises(StaleClaim):
            await claim(store, 3)
        assert await claimed_ids(store, 6) == ["a"]

    async def test_a_lower_one_is_refused_as_stale_also_after_the_lease(self, store: Store, clock: ManualClock) -> None:
        await claim(store, 5)
        clock.advance(LEASE / 1000)
        with pytest.raises(StaleClaim):
            await claim(store, 3)

    async def test_they_need_not_be_dense(self, store: Store) -> None:
        for n in (1, 2, 9, 10, 11, 100, 2**40):
            await submit(store, str(n))
            assert await claimed_ids(store, n) == [str(n)]

    async def test_a_refused_claim_uses_none_up(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a")
        await submit(store, "b", delay=1_000)
        clock.advance(LEASE / 1000)
        with pytest.raises(LeaseOver):
            await claim(store, 1)
        assert (await read(store, "b")).state is State.SCHEDULED
        await store.extend(["w"], LEASE)
        assert await claimed_ids(store, 1) == ["a", "b"]

    async def test_each_worker_has_its_own(self, store: Store) -> None:
        await claim(store, 9)
        await store.enroll(make_worker("v"), LEASE)
        await submit(store, "a")
        (job,) = await claim(store, 1, "v")
        assert job.token == "v:1"

    async def test_an_unknown_worker_is_refused(self, store: Store) -> None:
        await submit(store, "a")
        with pytest.raises(NotEnrolled):
            await claim(store, 1, "nobody")
        assert await claimed_ids(store) == ["a"]
