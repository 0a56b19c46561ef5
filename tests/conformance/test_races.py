"""Races: many callers at once, through several store objects on one backend."""

import asyncio
from collections import Counter

import pytest

from async_job.clock import ManualClock
from async_job.core.job import FINISHED, LogLine, State
from async_job.core.lifecycle import CancelRequested, Event, Failed, LeaseLapsed, Released, RetryRequested, Succeeded
from async_job.store.protocol import Answer, Beat, ClaimId, Stale, Store
from support.jobs import LEASE, change, claim, error, make_job, make_worker, read, run, submit, tell
from support.stores import OpenStore


@pytest.fixture
async def stores(store: Store, open_store: OpenStore) -> list[Store]:
    return [store, await open_store(), await open_store()]


async def test_each_job_is_claimed_once(store: Store, stores: list[Store]) -> None:
    names = [f"{n:03}" for n in range(300)]
    await submit(store, *names)
    taken: Counter[str] = Counter()

    async def worker(name: str, own: Store) -> None:
        await own.enroll(make_worker(name), LEASE)
        n = 1
        while jobs := await claim(own, n, name, limit=7):
            taken.update(job.id for job in jobs)
            assert all(job.token == f"{name}:{n}" for job in jobs)
            await own.apply([change(job, Succeeded(job.token or "", b"1"), 5) for job in jobs])
            n += 1

    await asyncio.gather(*(worker(f"w{n}", stores[n % 3]) for n in range(12)))
    assert taken == Counter(names)
    assert (await store.counts()).states[State.SUCCEEDED] == 300


async def test_one_claim_id_asked_many_times_at_once(store: Store, stores: list[Store]) -> None:
    await submit(store, *"abcdef")
    await store.enroll(make_worker(), LEASE)
    answers = await asyncio.gather(*(stores[n % 3].claim(ClaimId("w", 1), ["default"], 3) for n in range(9)))
    assert [sorted(job.id for job in answer.jobs) for answer in answers] == [["a", "b", "c"]] * 9
    assert (await store.counts()).states[State.QUEUED] == 3


async def test_one_job_submitted_many_times_at_once(store: Store, stores: list[Store]) -> None:
    job = make_job(store.now(), "a", unique_key="k")
    answers = await asyncio.gather(*(stores[n % 3].submit([job]) for n in range(30)))
    assert all(answer.created for (answer,) in answers)
    assert (await store.counts()).states[State.QUEUED] == 1


async def test_one_key_by_many_at_once(store: Store, stores: list[Store]) -> None:
    jobs = [make_job(store.now(), f"{n:03}", unique_key="k") for n in range(200)]
    answers = await asyncio.gather(*(stores[n % 3].submit([job]) for n, job in enumerate(jobs)))
    assert sum(answer.created for (answer,) in answers) == 1
    assert len({answer.id for (answer,) in answers}) == 1
    assert (await store.counts()).states[State.QUEUED] == 1


async def test_of_two_outcomes_one_is_the_end(store: Store, stores: list[Store]) -> None:
    jobs = await run(store, *(f"{n:02}" for n in range(40)))

    async def end(own: Store, event: Event) -> list[State]:
        answers = await asyncio.gather(*(own.apply([change(job, event, 5)]) for job in jobs))
        return [answer.state for (answer,) in answers if not isinstance(answer, Stale)]

    first, second, third = await asyncio.gather(
        end(stores[0], Succeeded("w:1", b"1")),
        end(stores[1], Failed("w:1", error(retryable=False))),
        end(stores[2], Released("w:1")),
    )
    assert first == second == third
    assert first == [job.state for job in await store.get([job.id for job in jobs]) if job]


async def test_a_cancel_against_an_outcome(store: Store, stores: list[Store]) -> None:
    """Whatever comes first, the answers agree with the end."""
    jobs = await run(store, *(f"{n:02}" for n in range(60)))
    cancels = [change(job, CancelRequested(), 5) for job in jobs]
    failures = [change(job, Failed("w:1", error(retryable=False)), 5) for job in jobs]
    cancelled, failed = await asyncio.gather(
        asyncio.gather(*(stores[0].apply([each]) for each in cancels)),
        asyncio.gather(*(stores[1].apply([each]) for each in failures)),
    )
    for job, (cancel,), (failure,) in zip(jobs, cancelled, failed, strict=True):
        end = await read(store, job.id)
        assert isinstance(cancel, Stale) != isinstance(failure, Stale)
        if isinstance(failure, Stale):
            assert (end.state, end.cancel_requested_at) == (State.RUNNING, 5)
            assert (await tell(store, end, Failed("w:1", error()))).state is State.CANCELLED
        else:
            assert (end.state, end.cancel_requested_at) == (State.FAILED, None)


async def test_many_rescuers_charge_once(store: Store, stores: list[Store], clock: ManualClock) -> None:
    await run(store, *(f"{n:02}" for n in range(50)))
    clock.advance(LEASE / 1000)

    async def rescuer(own: Store) -> int:
        jobs = await own.rescuable(100)
        answers = await own.apply([change(job, LeaseLapsed("w:1"), own.now()) for job in jobs])
        return sum(not isinstance(answer, Stale) for answer in answers)

    assert sum(await asyncio.gather(*(rescuer(own) for own in stores for _ in range(3)))) == 50
    jobs = await store.get([f"{n:02}" for n in range(50)])
    assert {job and job.crashes for job in jobs} == {1}


async def test_a_rescue_against_a_renewal(store: Store, stores: list[Store], clock: ManualClock) -> None:
    """Either the worker keeps all its jobs, or those that it lost are known to it as lost."""
    jobs = await run(store, *(f"{n:02}" for n in range(30)))
    clock.advance(LEASE / 1000)
    rescues = [change(job, LeaseLapsed("w:1"), clock.now()) for job in jobs]
    _, *answers = await asyncio.gather(
        stores[0].extend(["w"], LEASE), *(stores[1 + n % 2].apply([each]) for n, each in enumerate(rescues))
    )
    beats = await store.report([Beat(job.id, "w:1") for job in jobs])
    for (answer,), beat in zip(answers, beats, strict=True):
        assert beat is (Answer.OK if isinstance(answer, Stale) else Answer.LOST)


async def test_a_claim_against_a_cancel(store: Store, stores: list[Store]) -> None:
    """A job is either claimed or cancelled, never both."""
    jobs = await submit(store, *(f"{n:02}" for n in range(40)))
    await store.enroll(make_worker(), LEASE)

    async def claims() -> list[str]:
        return [job.id for n in range(1, 11) for job in await claim(stores[0], n, limit=4)]

    claimed, *answers = await asyncio.gather(
        claims(), *(stores[1].apply([change(job, CancelRequested(), 5)]) for job in reversed(jobs))
    )
    cancelled = [answer.id for (answer,) in answers if not isinstance(answer, Stale)]
    assert sorted([*claimed, *cancelled]) == [job.id for job in jobs]


async def test_many_retries_start_one_run(store: Store, stores: list[Store]) -> None:
    (job,) = await submit(store, "a")
    cancelled = await tell(store, job, CancelRequested())
    answers = await asyncio.gather(*(own.apply([change(cancelled, RetryRequested(), 5)]) for own in stores * 5))
    assert sum(not isinstance(answer, Stale) for (answer,) in answers) == 1
    await store.enroll(make_worker(), LEASE)
    assert len(await claim(store)) == 1


async def test_a_retry_against_a_new_job_with_its_key(store: Store, stores: list[Store]) -> None:
    for n in range(10):
        (job,) = await submit(store, f"a{n}", unique_key=f"k{n}")
        cancelled = await tell(store, job, CancelRequested())
        (retried,), (submitted,) = await asyncio.gather(
            stores[n % 2].apply([change(cancelled, RetryRequested(), 5)]),
            stores[1].submit([make_job(store.now(), f"b{n}", unique_key=f"k{n}")]),
        )
        if submitted.created:
            assert retried == Stale(cancelled, f"b{n}")
        else:
            assert submitted.id == f"a{n}"
            assert not isinstance(retried, Stale)


async def test_many_beats_lose_no_line(store: Store, stores: list[Store]) -> None:
    await run(store, "a")
    lines = [LogLine(n, str(n)) for n in range(200)]
    await asyncio.gather(*(stores[n % 3].report([Beat("a", "w:1", log=(line,))]) for n, line in enumerate(lines)))
    assert sorted(await store.log("a"), key=lambda line: line.at) == lines


async def test_many_purgers_count_each_job_once(store: Store, stores: list[Store], clock: ManualClock) -> None:
    jobs = await submit(store, *(f"{n:03}" for n in range(100)))
    await store.apply([change(job, CancelRequested(), clock.now()) for job in jobs])
    clock.advance(24 * 3600)
    assert sum(await asyncio.gather(*(own.purge(30) for own in stores * 3))) == 100


async def test_a_cancelled_caller_takes_nobody_with_it(store: Store, stores: list[Store]) -> None:
    """A caller's cancellation never cancels the write: what it sent is done or not, and the others' is done."""
    jobs = [make_job(store.now(), f"{n:03}") for n in range(60)]
    tasks = [asyncio.ensure_future(stores[n % 3].submit([job])) for n, job in enumerate(jobs)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    stored = await store.get([job.id for job in jobs])
    for job, found, answer in zip(jobs, stored, answers, strict=True):
        assert found in (job, None)
        if not isinstance(answer, asyncio.CancelledError):
            assert found == job


async def test_everything_at_once(store: Store, stores: list[Store], clock: ManualClock) -> None:
    """Submitters, workers that fail and forget, a rescuer and cancels: every job comes to one end."""
    names = [f"{n:03}" for n in range(120)]
    done = asyncio.Event()

    async def submitter(own: Store, mine: list[str]) -> None:
        for name in mine:
            await submit(own, name, max_attempts=2)

    async def worker(name: str, own: Store) -> None:
        await own.enroll(make_worker(name), LEASE)
        n = 0
        while not done.is_set():
            n += 1
            for at, job in enumerate(await claim(own, n, name, limit=5)):
                token = job.token or ""
                event = (Succeeded(token, b"1"), Failed(token, error(), delay=0), Released(token))[at % 3]
                (answer,) = await own.apply([change(job, event, own.now())])
                if isinstance(answer, Stale) and answer.job is not None and answer.job.token == token:
                    await own.apply([change(answer.job, event, own.now())])
            await own.extend([name], LEASE)
            await asyncio.sleep(0)

    async def canceller(own: Store) -> None:
        for job in await own.get(names[::5]):
            if job is not None and not job.done and job.cancel_requested_at is None:
                await own.apply([change(job, CancelRequested(), own.now())])

    async def ended() -> int:
        states = (await store.counts()).states
        return sum(states[state] for state in FINISHED)

    async def watch() -> None:
        while await ended() < len(names):
            await canceller(stores[1])
            clock.advance(0.001)
            await asyncio.sleep(0)
        done.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(submitter(stores[n], names[n::3]))
            group.create_task(worker(f"w{n}", stores[n]))
        group.create_task(watch())
    assert await store.retire("w0") + await store.retire("w1") + await store.retire("w2") == []
