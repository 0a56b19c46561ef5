"""The checker of the fault tests finds each kind of fault; otherwise its silence would mean nothing."""

from msgspec.structs import replace

from async_job.core.job import Attempt, Job, State
from support.checker import judge
from support.jobs import make_job
from support.ledger import Line

START = Line("start", "a", 1, 1, 0.0)
END = Line("end", "a", 1, 1, 1.0)


def job(state: State = State.SUCCEEDED, attempts: int = 0) -> Job:
    ended = tuple(Attempt(number=n + 1, started_at=1, ended_at=2, reason="crashed") for n in range(attempts))
    return replace(make_job(0, "a"), state=state, attempts=ended)


def test_nothing_is_found_where_all_is_well() -> None:
    assert judge(["a"], ["a"], [job()], [START, END]).clean
    assert judge(["a", "b"], ["a"], [job(), None], [START, END]).clean


def test_a_job_that_is_gone_is_lost() -> None:
    assert judge(["a"], ["a"], [None], [START, END]).lost == 1


def test_a_job_that_failed_or_never_came_to_its_end_is_lost() -> None:
    assert judge(["a"], ["a"], [job(State.FAILED)], [START, END]).lost == 1
    assert judge(["a"], ["a"], [job()], [START]).lost == 1


def test_a_job_that_has_not_ended_is_stuck() -> None:
    assert judge(["a"], ["a"], [job(State.RUNNING)], [START, END]).stuck == 1


def test_a_job_that_nobody_sent_is_unexpected() -> None:
    assert judge([], [], [], [START, END]).unexpected == 1


def test_two_runs_of_one_attempt_are_doubled() -> None:
    assert judge(["a"], ["a"], [job()], [START, START, END]).doubled == 1


def test_a_second_run_needs_a_reason() -> None:
    second = Line("start", "a", 2, 1, 2.0)
    assert judge(["a"], ["a"], [job()], [START, second, END]).unexplained == 1
    assert judge(["a"], ["a"], [job(attempts=1)], [START, second, END]).clean
