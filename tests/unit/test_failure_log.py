"""What a worker's log says of runs that ended badly: one line each, and what comes next."""

from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from async_job import Context, Jobs
from async_job.core.job import ErrorInfo, ErrorKind, Job, State
from async_job.core.lifecycle import CancelRequested, Crashed, Event, Failed, Released, Stopped, Succeeded
from async_job.worker.failure_log import log_failure
from support.jobs import change, make_job
from support.web import serve

NOW = 1_700_000_000_000
TOKEN = "w:1"
ERROR = ErrorInfo(
    kind=ErrorKind.APPLICATION, type="ValueError", message="no\n luck", retryable=True, traceback="Traceback …"
)


def after(job: Job, event: Event) -> Job:
    decided = change(job, event, NOW)
    return replace(job, **decided.fields)


def running(**fields: Any) -> Job:
    return make_job(NOW, "a", state=State.RUNNING, token=TOKEN, attempt=1, started_at=NOW, **fields)


def told(job: Job) -> list[tuple[str, str]]:
    with capture_logs() as lines:
        log_failure(job)
    return [(line["log_level"], line["event"]) for line in lines if line["log_level"] != "debug"]


def test_one_line_says_what_and_what_next() -> None:
    with capture_logs() as lines:
        log_failure(after(running(max_attempts=2), Failed(TOKEN, ERROR, delay=3_210)))
    line, debug = lines
    assert line == {
        "log_level": "warning",
        "event": "a job failed, retried in 3.21 s",
        "type": "demo",
        "job": "a",
        "attempt": "1 of 2",
        "error": "ValueError: no luck",
    }
    assert (debug["log_level"], debug["exception"]) == ("debug", "Traceback …")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            Released(TOKEN, "no_process", delay=5_000, error=replace(ERROR, kind=ErrorKind.CRASHED)),
            "no process could be started for a job, retried in 5 s",
        ),
        (Failed(TOKEN, replace(ERROR, retryable=False)), "a job failed for good"),
        (Crashed(TOKEN, "killed", alone=True), "a job failed, it runs again, alone"),
    ],
)
def test_the_other_ends(event: Event, line: str) -> None:
    assert told(after(running(), event)) == [("warning", line)]


@pytest.mark.parametrize("event", [Succeeded(TOKEN, b"1"), Released(TOKEN), Stopped(TOKEN)])
def test_what_has_not_failed_is_not_told(event: Event) -> None:
    assert told(after(running(), event)) == []
    failed_before = after(running(max_attempts=3), Failed(TOKEN, ERROR))
    again = replace(failed_before, state=State.RUNNING, token=TOKEN, attempt=2)
    assert told(after(again, event)) == []


def test_of_a_cancelled_job_it_is_no_warning() -> None:
    job = after(running(), CancelRequested())
    assert told(after(job, Failed(TOKEN, ERROR))) == [("info", "a job failed after it was asked to cancel")]


def test_an_error_of_many_lines_is_one_short_line() -> None:
    with capture_logs() as lines:
        log_failure(after(running(), Failed(TOKEN, replace(ERROR, message="x\r\n\t y\n" * 1_000))))
    said = lines[0]["error"]
    assert said.startswith("ValueError: x y x y")
    assert len(said) <= 201


async def test_a_worker_tells_of_each_failure() -> None:
    jobs = Jobs(store="memory://")

    @jobs.job(max_attempts=1)
    async def fail(context: Context) -> None:
        raise ValueError("no luck")

    with capture_logs() as lines:
        async with serve(jobs, worker=True):
            handle = await fail.submit()
            await handle.wait()
    [line] = [line for line in lines if line["event"].startswith("a job failed")]
    assert (line["job"], line["attempt"], line["error"]) == (handle.id, "1 of 1", "ValueError: no luck")
