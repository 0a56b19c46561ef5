"""What the end of a worker process means for the jobs that it held."""

import signal

import pytest

from async_job.core.job import ErrorKind, Job
from async_job.core.lifecycle import Crashed, Failed, Released
from async_job.worker.board import key
from async_job.worker.launch import EX_RETIRED
from async_job.worker.verdict import Deadline, End, Killed, outcome_of, suspects
from support.jobs import make_job

NOW = 1_000
OVERDUE = Deadline(1.0, "a", "w:1")


def held(id: str = "a", token: str = "w:1", **fields: object) -> Job:
    return make_job(NOW, id, token=token, **fields)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (End(code=-signal.SIGKILL), "SIGKILL (by hand, or because memory ran out)"),
        (End(code=-signal.SIGSEGV), "SIGSEGV"),
        (End(code=-signal.SIGKILL, asked=True), "SIGKILL"),
        (End(code=-64 - 1), "signal 65"),
        (End(code=3), "exit code 3"),
        (End(code=1, asked=True), "exit code 1"),
        # A job that ends its process, be it with 0 or by asking itself to end, has not ended.
        (End(code=0), "exit code 0"),
        (End(code=-signal.SIGTERM), "SIGTERM"),
        (End(code=-signal.SIGKILL, killed=Killed.STALLED), "no sign of life"),
        (End(code=-signal.SIGKILL, killed=Killed.MEMORY), "worker_memory_limit"),
    ],
)
def test_a_process_that_died_is_charged_to_the_job_that_was_alone(end: End, cause: str) -> None:
    assert not end.orderly
    alone = outcome_of(end, held(), suspects=["a"], now=NOW)
    assert isinstance(alone, Crashed)
    assert (alone.token, alone.alone) == ("w:1", True)
    assert alone.reason == ("memory" if end.killed is Killed.MEMORY else "")
    assert cause in alone.cause
    assert outcome_of(end, held(), suspects=["a", "b"], now=NOW) == Crashed(
        "w:1", alone.cause, alone=False, reason=alone.reason
    )


@pytest.mark.parametrize(
    "end",
    [
        End(code=0, asked=True),
        End(code=-signal.SIGTERM, asked=True),
        End(code=EX_RETIRED),
        End(code=-signal.SIGKILL, asked=True, killed=Killed.OVERSTAYED),
    ],
)
def test_a_process_that_was_to_go_costs_nobody_anything(end: End) -> None:
    assert end.orderly
    assert outcome_of(end, held(), suspects=["a"], now=NOW) == Released("w:1", "shutdown")


def test_a_process_killed_for_one_job_charges_that_one() -> None:
    end = End(code=-signal.SIGKILL, killed=Killed.DEADLINE, deadline=OVERDUE)
    guilty = outcome_of(end, held(timeout=2_500), suspects=["a", "b", "c"], now=NOW)
    assert isinstance(guilty, Failed)
    assert (guilty.token, guilty.isolate) == ("w:1", True)
    assert (guilty.error.kind, guilty.error.retryable, guilty.error.at) == (ErrorKind.TIMEOUT, True, NOW)
    assert "2.5 s" in guilty.error.message
    assert outcome_of(end, held("b"), suspects=["a", "b", "c"], now=NOW) == Released("w:1", "neighbour")
    # The same job, claimed anew by the same worker since the deadline was told.
    assert outcome_of(end, held(token="w:2"), suspects=["a", "b", "c"], now=NOW) == Released("w:2", "neighbour")


@pytest.mark.parametrize(
    ("ran", "expected"),
    [("b", {"b"}), ("ac", {"a", "c"}), ("", {"a", "b", "c"}), ("x", {"a", "b", "c"})],
    ids=["one ran", "two ran", "none is known", "another one's"],
)
def test_only_what_ran_can_have_ended_the_process(ran: str, expected: set[str]) -> None:
    end = End(code=-signal.SIGSEGV, running=frozenset(map(key, ran)))
    jobs = [held(id) for id in "abc"]
    suspected = suspects(end, jobs)
    assert suspected == expected
    outcomes = {job.id: outcome_of(end, job, suspects=suspected, now=NOW) for job in jobs}
    assert {id for id, outcome in outcomes.items() if isinstance(outcome, Crashed)} == expected
    assert all(outcomes[id] == Released("w:1", "neighbour") for id in {"a", "b", "c"} - expected)
