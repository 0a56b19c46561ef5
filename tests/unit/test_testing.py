"""What users' own tests stand on: a memory, a clock that stands still, and jobs that run when told to."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from async_job import Context, ErrorKind, JobFunction, Jobs, State, UnrecoverableError
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


@jobs.job
async def greet_all(count: int) -> list[str]:
    children = [await send_mail.submit(f"person {n}") for n in range(count)]
    return [await child.result() for child in children]


@jobs.job
def fan_out(count: int) -> list[str]:
    """A plain function has no event loop, and submits as such."""
    return [send_mail.submit_sync(f"person {n}").id for n in range(count)]


@jobs.job(runner="process")
def thread_of_plain() -> int:
    return threading.get_ident()


@jobs.job
async def thread_of_async() -> int:
    return threading.get_ident()


@jobs.job
async def cancel_itself(context: Context) -> None:
    await jobs.cancel(context.job_id)
    raise ValueError("in vain")


@jobs.job
async def submits_wrongly() -> None:
    await send_mail.submit(3)  # type: ignore[arg-type]


@jobs.job(max_attempts=5)
async def give_up() -> None:
    raise UnrecoverableError("no such address")


tester = job_tester(jobs)


@pytest.fixture(autouse=True)
def nothing_sent() -> Iterator[None]:
    sent.clear()
    before = set(threading.enumerate())
    yield
    # A thread that an earlier test has left may end meanwhile; none may come.
    assert set(threading.enumerate()) <= before


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


async def test_an_unrecoverable_error_fails_the_job_at_once(tester: JobTester) -> None:
    await give_up.submit()
    [job] = await tester.run_due()
    assert (job.state, job.attempt, job.reason) == (State.FAILED, 1, "application")
    assert job.error is not None
    assert (job.error.type, job.error.retryable) == ("async_job.errors.UnrecoverableError", False)


async def test_a_job_that_waits_for_others_lets_them_run(tester: JobTester) -> None:
    first, second = await greet_all.submit(2), await greet_all.submit(1)
    ended = await tester.run_due()
    assert await first.result() == ["Hello, person 0", "Hello, person 1"]
    assert await second.result() == ["Hello, person 0"]
    assert [job.state for job in ended] == ["succeeded"] * 5


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


@pytest.mark.parametrize("function", [thread_of_plain, thread_of_async])
def test_a_sync_test_runs_jobs_in_its_own_thread(tester: JobTester, function: JobFunction[[], int, Any]) -> None:
    handle = function.submit_sync()
    tester.run_due_sync()
    assert handle.result_sync(timeout=1) == threading.get_ident()


def test_a_plain_function_submits_without_a_loop(tester: JobTester) -> None:
    fan_out.submit_sync(2)
    assert [job.type for job in tester.run_due_sync()] == ["fan_out", "send_mail", "send_mail"]


async def test_a_plain_function_submits_without_a_loop_in_an_async_test_too(tester: JobTester) -> None:
    await fan_out.submit(2)
    assert [job.type for job in await tester.run_due()] == ["fan_out", "send_mail", "send_mail"]
    assert asyncio.get_running_loop().is_running()


async def test_a_job_that_was_cancelled_meanwhile_is_cancelled(tester: JobTester) -> None:
    await cancel_itself.submit()
    assert [job.state for job in await tester.run_due()] == [State.CANCELLED]


async def test_an_input_that_a_job_gives_to_another_is_not_its_own(tester: JobTester) -> None:
    handle = await submits_wrongly.submit()
    await tester.run_due()
    error = (await handle.job()).error
    assert error is not None
    assert (error.kind, error.type) == (ErrorKind.APPLICATION, "async_job.errors.InvalidInput")
    assert "submits_wrongly" in error.traceback


async def test_an_input_that_no_longer_fits_is_told(tester: JobTester) -> None:
    handle = await jobs.submit(send_mail, b'{"to":1}')
    [ended] = await tester.run_due()
    assert ended.id == handle.id
    assert ended.error is not None
    assert ended.error.kind is ErrorKind.INVALID_INPUT
    assert "$.to" in ended.error.message


async def test_jobs_without_end_are_noticed(tester: JobTester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.testing.MOST_RUNS", 20)
    await without_end.submit()
    with pytest.raises(AssertionError, match="without end"):
        await tester.run_due()


def test_afterwards_everything_is_as_it_was() -> None:
    before = set(threading.enumerate())
    other = Jobs(store="memory://")
    other_send = other.job(name="send")(lambda: None)
    with JobTester(other) as inner:
        asyncio.run(other_send.submit())
        assert len(inner.submitted()) == 1
    assert asyncio.run(_count(other)) == 0
    # A thread that an earlier test has left may end meanwhile; none may come.
    assert set(threading.enumerate()) <= before


async def _count(other: Jobs) -> int:
    return len((await other.find()).jobs)


async def test_inputs_are_compared_as_json_has_them_whatever_they_are_called() -> None:
    jobs = Jobs()

    @jobs.job
    async def weigh(function: dict[int, str], self: int) -> None: ...

    with JobTester(jobs) as tester:
        await weigh.submit({1: "one"}, 2)
        tester.assert_submitted(weigh, function={1: "one"}, self=2)
        with pytest.raises(AssertionError, match=r"no job weigh\(function=\{'1': 'two'\}\) was submitted"):
            tester.assert_submitted(weigh, function={1: "two"})
