"""What a user holds, on every store: submit, ask, wait, cancel, retry, and what happens to connections."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from async_job import (
    AlreadyFinished,
    ErrorInfo,
    ErrorKind,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobFunction,
    JobNotFound,
    Jobs,
    NotRetryable,
    State,
    StoreUnavailable,
    UniqueKeyHeld,
    UnknownType,
    WaitTimeout,
)
from async_job.clock import ManualClock
from async_job.core.job import Job
from async_job.core.lifecycle import Event, Failed, Overdue, Succeeded, decide
from async_job.errors import StoreBroken
from async_job.store.protocol import ClaimId, Worker

LEASE = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def jobs(store_url: str, clock: ManualClock) -> AsyncIterator[Jobs]:
    made = Jobs(store=store_url, clock=clock)
    yield made
    await made.close()


@pytest.fixture
def double(jobs: Jobs) -> JobFunction[[int], int, Any]:
    @jobs.job(max_attempts=2)
    async def double(n: int) -> int:
        return 2 * n

    return double


@pytest.fixture
def day(jobs: Jobs) -> JobFunction[[], date, Any]:
    @jobs.job
    async def day() -> date:
        return date(2024, 2, 29)

    return day


async def claim(jobs: Jobs, n: int = 1) -> Job:
    """The next job, claimed by a worker of the test's own."""
    store = await jobs.store()
    worker = Worker(id="w", host="h", pid=1, started_at=1, queues=("default",), concurrency=1)
    await store.enroll(worker, LEASE)
    [job] = (await store.claim(ClaimId("w", n), ["default"], 1)).jobs
    return job


async def tell(jobs: Jobs, job: Job, event: Event) -> Job:
    store = await jobs.store()
    change = decide(job, event, store.now())
    assert change is not None
    [answer] = await store.apply([change])
    assert isinstance(answer, Job)
    return answer


async def succeed(jobs: Jobs, result: bytes, n: int = 1) -> Job:
    job = await claim(jobs, n)
    assert job.token is not None
    return await tell(jobs, job, Succeeded(job.token, result))


async def fail(jobs: Jobs, n: int = 1) -> Job:
    job = await claim(jobs, n)
    assert job.token is not None
    error = ErrorInfo(kind=ErrorKind.APPLICATION, message="no luck", type="ValueError")
    return await tell(jobs, job, Failed(job.token, error))


async def test_a_submitted_job_can_be_asked_about(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    assert handle.created
    assert await handle.status() == "PENDING"
    job = await handle.job()
    assert (job.id, job.type, job.input, job.state, job.max_attempts) == (
        handle.id,
        "double",
        b'{"n":4}',
        State.QUEUED,
        2,
    )
    assert await jobs.get(handle.id) == job
    await claim(jobs)
    assert await handle.status() == "STARTING"


async def test_a_result_has_the_functions_type(jobs: Jobs, day: JobFunction[[], date, Any]) -> None:
    handle = await day.submit()
    await succeed(jobs, b'"2024-02-29"')
    assert await handle.status() == "COMPLETE"
    assert await handle.result() == date(2024, 2, 29)
    assert (await handle.wait()).state is State.SUCCEEDED


async def test_who_waits_is_woken(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    waiting = [asyncio.create_task(handle.result(timeout=20)) for _ in range(10)]
    await asyncio.sleep(0)
    await succeed(jobs, b"8")
    assert await asyncio.gather(*waiting) == [8] * 10


async def test_a_wait_has_its_time(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    with pytest.raises(WaitTimeout, match="queued") as late:
        await handle.wait(timeout=0)
    assert late.value.job.id == handle.id
    with pytest.raises(WaitTimeout):
        await handle.result(timeout=0.01)
    # Nobody is left behind, and the next one is served.
    await succeed(jobs, b"8")
    assert await handle.result(timeout=20) == 8


async def test_a_failed_job_raises_its_error(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    await fail(jobs)
    with pytest.raises(JobFailed, match="no luck") as failed:
        await handle.result(timeout=20)
    assert failed.value.error is not None
    assert failed.value.error.type == "ValueError"
    assert (await handle.wait()).state is State.FAILED


async def test_an_expired_job_says_so(jobs: Jobs, clock: ManualClock, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.with_options(start_within=1).submit(4)
    clock.advance(2)
    await tell(jobs, await handle.job(), Overdue())
    with pytest.raises(JobExpired):
        await handle.result(timeout=20)


async def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    assert (await handle.cancel()).state is State.CANCELLED
    with pytest.raises(JobCancelled):
        await handle.result(timeout=20)
    with pytest.raises(AlreadyFinished) as finished:
        await handle.cancel()
    assert finished.value.job.state is State.CANCELLED


async def test_a_running_job_is_asked_to_stop(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    job = await claim(jobs)
    asked = await handle.cancel()
    assert (asked.state, asked.cancel_requested_at is not None) == (State.RUNNING, True)
    assert await handle.cancel() == asked
    assert job.token is not None
    # It may still succeed.
    await tell(jobs, await handle.job(), Succeeded(job.token, b"8"))
    assert await handle.result(timeout=20) == 8


async def test_a_failed_job_is_retried_under_its_id(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    with pytest.raises(NotRetryable):
        await jobs.retry(handle.id)
    await fail(jobs)
    again = await jobs.retry(handle.id)
    assert (again.id, again.state, again.failures, len(again.attempts)) == (handle.id, State.QUEUED, 0, 1)
    await succeed(jobs, b"8", n=2)
    assert await handle.result(timeout=20) == 8
    with pytest.raises(NotRetryable):
        await jobs.retry(handle.id)


async def test_one_live_job_has_the_unique_key(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    keyed = double.with_options(unique_key="k")
    first = await keyed.submit(1)
    second = await keyed.submit(2)
    assert (second.id, second.created) == (first.id, False)
    with pytest.raises(UniqueKeyHeld) as held:
        await double.with_options(unique_key="k", on_conflict="reject").submit(3)
    assert held.value.holder == first.id
    await fail(jobs)
    third = await keyed.submit(4)
    assert third.created
    with pytest.raises(UniqueKeyHeld):
        await jobs.retry(first.id)


async def test_what_is_not_there_is_told(jobs: Jobs) -> None:
    missing = "0190d2f0-0000-7000-8000-000000000000"
    for question in (jobs.get, jobs.cancel, jobs.retry, jobs.wait, jobs.result):
        with pytest.raises(JobNotFound) as not_found:
            await question(missing)
        assert not_found.value.id == missing


async def test_a_job_is_submitted_by_name(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await jobs.submit("double", b'{"n":1}')
    assert (await handle.job()).type == "double"
    with pytest.raises(UnknownType, match=r"demo, double") as unknown:
        await jobs.submit("treble", b"{}")
    assert unknown.value.type == "treble"


async def test_a_result_of_a_type_that_is_not_known_here_is_plain(
    jobs: Jobs, day: JobFunction[[], date, Any], store_url: str
) -> None:
    handle = await day.submit()
    await succeed(jobs, b'"2024-02-29"')
    del jobs._functions["day"]
    assert await jobs.result(handle.id) == "2024-02-29"


async def test_tasks_that_begin_together_open_one_store(jobs: Jobs) -> None:
    stores = await asyncio.gather(*[jobs.store() for _ in range(10)])
    assert len({id(store) for store in stores}) == 1


async def test_a_closed_one_opens_anew(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    async with jobs:
        handle = await double.submit(4)
    assert await handle.status() == "PENDING"
    await jobs.close()
    await jobs.close()


async def test_who_waits_while_it_is_closed_is_told(jobs: Jobs, double: JobFunction[[int], int, Any]) -> None:
    handle = await double.submit(4)
    waiting = asyncio.create_task(handle.wait())
    await asyncio.sleep(0.05)
    await jobs.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await waiting


def test_each_event_loop_has_a_connection(store_url: str) -> None:
    jobs = Jobs(store=store_url)

    @jobs.job
    async def nothing() -> None: ...

    async def once() -> int:
        await nothing.submit()
        counts = await (await jobs.store()).counts()
        await jobs.close()
        return counts.states[State.QUEUED]

    assert [asyncio.run(once()) for _ in range(3)] == [1, 2, 3]


@pytest.mark.store("redis")
async def test_a_store_that_is_away_is_tried_again(make_server: Any) -> None:
    server = make_server()
    jobs = Jobs(store=server.url)
    server.kill()
    with pytest.raises(StoreUnavailable):
        await jobs.store()
    server.restart()
    assert sum((await (await jobs.store()).counts()).states.values()) == 0
    await jobs.close()


@pytest.mark.store("sqlite")
async def test_a_store_that_cannot_be_opened_says_why(tmp_path: Any) -> None:
    (tmp_path / "jobs.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreBroken, match="damaged or no database"):
        await Jobs(store=f"sqlite:///{tmp_path / 'jobs.db'}").store()


async def test_the_default_is_the_demo_until_there_is_another() -> None:
    jobs = Jobs(store="memory://", demo_seconds=0.0)
    assert jobs.default.type == "demo"
    assert await jobs.default() is None
    other = Jobs(store="memory://")

    @other.job(default=True)
    async def mine() -> None: ...

    assert (other.default, list(other.functions)) == (mine, ["mine"])


def test_settings_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(store="sqlite:///weak.db", keep_failed=1.5)
    monkeypatch.setenv("ASYNC_JOB_STORE", "memory://")
    assert jobs.settings.store == "memory://"
    assert jobs.retention.failed == 1_500
