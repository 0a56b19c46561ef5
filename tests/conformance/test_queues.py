"""`administration.queues`, `pause` and `resume`: what is in the queues, and keeping workers from it."""

import asyncio

import pytest

from async_job.clock import ManualClock
from async_job.core.lifecycle import CancelRequested, Failed, Released, Succeeded
from async_job.errors import LeaseOver, NotEnrolled
from async_job.store.administration import QueueInfo
from async_job.store.protocol import ClaimId, Store
from support.jobs import LEASE, claim, end, error, make_worker, read, run, submit, tell
from support.stores import OpenStore


async def queue(store: Store, name: str = "default") -> QueueInfo | None:
    return {queue.name: queue for queue in await store.administration.queues()}.get(name)


async def started(store: Store, name: str = "default") -> int:
    found = await queue(store, name)
    return 0 if found is None else found.started


async def claimed_ids(store: Store, n: int, *queues: str, limit: int = 100) -> list[str]:
    return [job.id for job in await claim(store, n, queues=queues or ("default",), limit=limit)]


class TestQueues:
    async def test_none(self, store: Store) -> None:
        assert await store.administration.queues() == []

    async def test_by_name_with_what_is_in_them(self, store: Store, clock: ManualClock) -> None:
        names = ["b", "a", "B", "ä", "☃", "a:b", "{x}", "*"]
        for n, name in enumerate(names, 1):
            await submit(store, *(f"{name}{at}" for at in range(n)), queue=name)
        found = await store.administration.queues()
        assert found == [
            QueueInfo(name=name, queued=names.index(name) + 1, paused=False, ready_since=clock.now(), started=0)
            for name in sorted(names)
        ]

    async def test_ready_since_the_first_in_line_may_start(self, store: Store, clock: ManualClock) -> None:
        start = clock.now()
        await submit(store, "a", priority=-9)
        clock.advance(1)
        await submit(store, "b")
        await submit(store, "later", delay=60_000)
        clock.advance(1)
        assert await queue(store) == QueueInfo(
            name="default", queued=2, paused=False, ready_since=start + 1_000, started=0
        )
        await tell(store, await read(store, "b"), CancelRequested())
        found = await queue(store)
        assert found is not None
        assert (found.queued, found.ready_since) == (1, start)

    async def test_one_that_has_emptied_stays_if_it_was_claimed_from(self, store: Store) -> None:
        await run(store, "a")
        await end(store, "b", queue="other")
        assert await store.administration.queues() == [
            QueueInfo(name="default", queued=0, paused=False, ready_since=None, started=1)
        ]


class TestStarted:
    async def test_each_claimed_job_counts_once(self, store: Store) -> None:
        await run(store, "a", "b", "c")
        await submit(store, "d", queue="other")
        assert await claimed_ids(store, 2, "default", "other") == ["d"]
        assert await claimed_ids(store, 2, "default", "other") == ["d"]
        assert await claimed_ids(store, 3, "default", "other") == []
        assert (await started(store), await started(store, "other")) == (3, 1)

    async def test_each_run_counts(self, store: Store) -> None:
        (job,) = await run(store, "a")
        await tell(store, job, Released("w:1"))
        (job,) = await claim(store, 2)
        await tell(store, job, Failed("w:2", error(), delay=0))
        await claim(store, 3)
        assert await started(store) == 3

    async def test_what_never_ran_does_not_count(self, store: Store) -> None:
        await end(store, "a")
        await submit(store, "b")
        await store.enroll(make_worker(), LEASE)
        await store.retire("w")
        with pytest.raises(NotEnrolled):
            await claim(store)
        assert await started(store) == 0

    async def test_a_refused_claim_does_not_count(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a")
        await store.enroll(make_worker(), LEASE)
        clock.advance(LEASE / 1000)
        with pytest.raises(LeaseOver):
            await claim(store)
        assert await started(store) == 0

    async def test_it_does_not_fall(self, store: Store, clock: ManualClock) -> None:
        (a, b) = await run(store, "a", "b")
        await tell(store, a, Succeeded("w:1", b"1"))
        await tell(store, b, Succeeded("w:1", b"1"))
        await store.delete(["a"])
        clock.advance(24 * 3600)
        assert await store.purge(10) == 1
        await store.administration.pause("default")
        await store.administration.resume("default")
        assert await started(store) == 2

    async def test_claims_through_several_objects_add_up(self, store: Store, open_store: OpenStore) -> None:
        others = [store, await open_store(), await open_store()]
        await submit(store, *(f"{n:02}" for n in range(30)))

        async def work(own: Store, name: str) -> None:
            await own.enroll(make_worker(name), LEASE)
            for n in range(1, 3):
                await claim(own, n, name, limit=5)

        await asyncio.gather(*(work(own, f"w{n}") for n, own in enumerate(others)))
        assert await started(store) == 30


class TestPause:
    @pytest.fixture
    async def store(self, store: Store) -> Store:
        await store.enroll(make_worker(), LEASE)
        return store

    async def test_nothing_is_claimed_until_it_is_resumed(self, store: Store) -> None:
        await submit(store, "a", "b")
        await store.administration.pause("default")
        assert await claimed_ids(store, 1) == []
        await submit(store, "c")
        assert await claimed_ids(store, 2) == []
        await store.administration.resume("default")
        assert await claimed_ids(store, 3) == ["a", "b", "c"]

    async def test_the_others_go_on(self, store: Store) -> None:
        await submit(store, "a", queue="a")
        await submit(store, "b", queue="b")
        await submit(store, "c", queue="c")
        await store.administration.pause("b")
        assert await claimed_ids(store, 1, "b", "c", "a", "b") == ["c", "a"]

    async def test_what_runs_goes_on(self, store: Store) -> None:
        (a, b) = await run(store, "a", "b")
        await store.administration.pause("default")
        assert await claim(store, 1) == [a, b]
        await tell(store, a, Succeeded("w:1", b"1"))
        await tell(store, b, Released("w:1"))
        assert await claimed_ids(store, 2) == []
        await store.administration.resume("default")
        assert await claimed_ids(store, 3) == ["b"]

    async def test_what_falls_due_is_promoted(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", delay=1_000)
        await store.administration.pause("default")
        clock.advance(1)
        answer = await store.claim(ClaimId("w", 1), ["default"], 10)
        assert (answer.jobs, answer.next_due) == ([], None)
        assert (await read(store, "a")).reason == "due"

    async def test_a_claim_repeated_after_the_pause_gets_its_answer(self, store: Store) -> None:
        await submit(store, "a")
        await store.administration.pause("default")
        assert await claimed_ids(store, 1) == []
        await store.administration.resume("default")
        assert await claimed_ids(store, 1) == []
        assert await claimed_ids(store, 2) == ["a"]

    async def test_told_twice(self, store: Store, open_store: OpenStore) -> None:
        other = await open_store()
        await submit(store, "a")
        await store.administration.pause("default")
        await other.administration.pause("default")
        await store.administration.resume("default")
        await other.administration.resume("default")
        assert await claimed_ids(store, 1) == ["a"]

    async def test_by_another_object(self, store: Store, open_store: OpenStore) -> None:
        other = await open_store()
        await submit(store, "a", "b")
        assert await claimed_ids(store, 1, limit=1) == ["a"]
        await other.administration.pause("default")
        assert await claimed_ids(store, 2) == []
        await other.administration.resume("default")
        assert await claimed_ids(store, 3) == ["b"]

    async def test_a_queue_that_is_paused_is_listed(self, store: Store, clock: ManualClock) -> None:
        await submit(store, "a", queue="b")
        await store.administration.pause("b")
        await store.administration.pause("empty")
        await store.administration.resume("never paused")
        assert await store.administration.queues() == [
            QueueInfo(name="b", queued=1, paused=True, ready_since=clock.now(), started=0),
            QueueInfo(name="empty", queued=0, paused=True, ready_since=None, started=0),
        ]
        await store.administration.resume("empty")
        await store.administration.resume("b")
        assert await store.administration.queues() == [
            QueueInfo(name="b", queued=1, paused=False, ready_since=clock.now(), started=0),
        ]

    @pytest.mark.parametrize("name", ["", "ä ☃", "a\nb", "a\x00", "{x}", "*", "a:b"])
    async def test_odd_names(self, store: Store, name: str) -> None:
        await submit(store, "a", queue=name)
        await submit(store, "b", queue="a")
        await store.administration.pause(name)
        assert await claimed_ids(store, 1, name, "a") == ["b"]
        await store.administration.resume(name)
        assert await claimed_ids(store, 2, name, "a") == ["a"]

    async def test_a_worker_waits_until_it_is_resumed(self, store: Store, open_store: OpenStore) -> None:
        """Or it would ask again and again for what it does not get."""
        other = await open_store()
        await submit(store, "a")
        await store.administration.pause("default")
        for _ in range(3):  # what rang before may still be heard
            await store.wait(["default"], 0.05)
        waiting = asyncio.ensure_future(store.wait(["default"], 100))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await other.administration.resume("default")
        async with asyncio.timeout(20):
            await waiting
