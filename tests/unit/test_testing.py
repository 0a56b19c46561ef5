"""What users' own tests stand on: a memory, a clock that stands still, and jobs that run when told to."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from msgspec import Struct

from async_job import Context, Jobs, State
from async_job.testing import JobTester, job_tester


class Person(Struct):
    name: str
    age: int = 0


jobs = Jobs(store="sqlite:////nowhere/at/all.db")
sent: list[str] = []


@jobs.job
async def send_mail(context: Context, to: str, subject: str = "Hello") -> str:
    context.progress(1, 1)
    sent.append(to)
    return f"{subject}, {to}"


@jobs.job(max_attempts=2, runner="process")
def flaky(times: int) -> int:
    sent.append("flaky")
    if sent.count("flaky") <= times:
        raise ValueError("not yet")
    return threading.get_ident()


@jobs.job
async def sign_up(person: Person) -> None:
    await send_mail.submit(person.name, subject="Welcome")


@jobs.job
async def without_end() -> None:
    await without_end.submit()


tester = job_tester(jobs)


@pytest.fixture(autouse=True)
def nothing_sent() -> Iterator[None]:
    sent.clear()
    yield
    jobs.blocking.close()


def test_a_sync_test(tester: JobTester) -> None:
    handle = send_mail.submit_sync("ada")
    assert sent == []
    [ended] = tester.run_due_sync()
    assert (ended.id, ended.state, sent) == (handle.id, State.SUCCEEDED, ["ada"])
    assert handle.result_sync(timeout=1) == "Hello, ada"


async def test_an_async_test_with_jobs_that_submit_jobs(tester: JobTester) -> None:
    await sign_up.submit(Person("ada", 36))
    ended = await tester.run_due()
    assert [job.type for job in ended] == ["sign_up", "send_mail"]
    tester.assert_submitted(sign_up, person=Person("ada", 36))
    tester.assert_submitted(send_mail, to="ada", subject="Welcome")
    tester.assert_submitted("send_mail")


async def test_each_test_begins_with_nothing(tester: JobTester) -> None:
    assert tester.submitted() == []
    tester.assert_not_submitted(send_mail)


async def test_a_delayed_job_waits_for_the_clock(tester: JobTester) -> None:
    await send_mail.with_options(delay=60, queue="slow").submit("ada")
    assert await tester.run_due() == []
    tester.advance(59.9)
    assert await tester.run_due() == []
    tester.advance(0.1)
    assert [job.state for job in await tester.run_due()] == [State.SUCCEEDED]


async def test_a_retry_waits_for_the_clock_and_runs_where_it_is_called(tester: JobTester) -> None:
    handle = await flaky.submit(times=1)
    assert await tester.run_due() == []
    assert (await handle.job()).state is State.SCHEDULED
    tester.advance(2)
    assert len(await tester.run_due()) == 1
    assert await handle.result() == threading.get_ident()


async def test_a_job_that_fails_for_good(tester: JobTester) -> None:
    handle = await flaky.submit(times=9)
    await tester.run_due()
    tester.advance(10)
    [ended] = await tester.run_due()
    assert (ended.id, ended.state, ended.failures) == (handle.id, State.FAILED, 2)


async def test_a_missing_job_is_told_with_what_there_was(tester: JobTester) -> None:
    await send_mail.submit("ada")
    with pytest.raises(AssertionError, match=r"no job send_mail\(to='bob'\) was submitted") as caught:
        tester.assert_submitted(send_mail, to="bob")
    assert "send_mail(to='ada')  queued" in str(caught.value)
    with pytest.raises(AssertionError, match="should not be"):
        tester.assert_not_submitted(send_mail)


def test_nothing_submitted_is_said(tester: JobTester) -> None:
    with pytest.raises(AssertionError, match="nothing was submitted"):
        tester.assert_submitted("send_mail")


async def test_jobs_without_end_are_noticed(tester: JobTester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.testing.MOST_RUNS", 20)
    await without_end.submit()
    with pytest.raises(AssertionError, match="without end"):
        await tester.run_due()


def test_afterwards_everything_is_as_it_was() -> None:
    before = threading.active_count()
    other = Jobs(store="memory://")
    other_send = other.job(name="send")(lambda: None)
    with JobTester(other) as inner:
        asyncio.run(other_send.submit())
        assert len(inner.submitted()) == 1
    assert asyncio.run(_count(other)) == 0
    assert threading.active_count() == before


async def _count(other: Jobs) -> int:
    return len((await other.find()).jobs)
