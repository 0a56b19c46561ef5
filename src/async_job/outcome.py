"""What an ended job comes to for whoever waits for its result: a value, or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from async_job.core.job import Job, State
from async_job.errors import JobCancelled, JobExpired, JobFailed, NoResult, WaitTimeout

BAD_ENDS: Final[dict[State, type[NoResult]]] = {
    State.FAILED: JobFailed,
    State.CANCELLED: JobCancelled,
    State.EXPIRED: JobExpired,
}


def result_of(job: Job, decode: Callable[[bytes], Any]) -> Any:
    """The ended job's result.

    Raises:
        JobFailed, JobCancelled, JobExpired: it ended otherwise.
        NoResult: it is no longer kept.
    """
    if job.state is State.SUCCEEDED:
        if job.result is None:
            raise NoResult(f"the result of job {job.id} is no longer kept", job)
        return decode(job.result)
    says = f"job {job.id} ({job.type}) {job.state}"
    if job.error is not None:
        says += f": {job.error.message}"
    raise BAD_ENDS[job.state](says, job)


def not_within(job: Job, timeout: float | None) -> WaitTimeout:
    """The error for a wait that was not long enough."""
    return WaitTimeout(f"job {job.id} has not finished within {timeout:g} s: it is {job.state}", job)
