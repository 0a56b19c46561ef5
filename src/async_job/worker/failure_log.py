"""What a worker's log says of a run that ended badly."""

from __future__ import annotations

from typing import Final

from async_job.core.job import ErrorInfo, ErrorKind, Job, State
from async_job.logs import get_logger
from async_job.worker.failure import shorten

LONGEST: Final = 200
"""Characters of an error in the line that tells of it."""

log = get_logger()


def log_failure(job: Job) -> None:
    """One line about the end of the job's last run, if that failed or crashed; its traceback is for those who debug.

    ``job`` is as the store has it after the run."""
    ended = job.attempts[-1] if job.attempts else None
    if ended is None or ended.error is None or ended.number != job.attempt:
        return
    error = ended.error
    said = " ".join(f"{error.type or error.kind}: {error.message}".split())
    about = {"type": job.type, "job": job.id, "attempt": _attempt(job, error), "error": shorten(said, LONGEST)}
    if job.reason == "no_process":
        log.warning(
            f"no process could be started for a job{_next(job)}", type=job.type, job=job.id, error=about["error"]
        )
    elif job.state is State.CANCELLED:
        log.info("a job failed after it was asked to cancel", **about)
    else:
        log.warning(f"a job failed{_next(job)}", **about)
    if job.error is not None and job.error.traceback:
        log.debug("the traceback of a job that failed", job=job.id, exception=job.error.traceback)


def _attempt(job: Job, error: ErrorInfo) -> str:
    """Which of the failures, or crashes, that the job may have."""
    if error.kind is ErrorKind.CRASHED:
        return f"crash {job.crashes} of {job.max_crashes}"
    return f"{job.failures} of {job.max_attempts}"


def _next(job: Job) -> str:
    if job.state is State.FAILED:
        return " for good"
    if job.state is State.SCHEDULED:
        return f", retried in {(job.scheduled_for - job.updated_at) / 1000:.3g} s"
    return ", it runs again, alone" if job.suspect else ", it runs again"
