"""A job as JSON shows it to the outside: in ``/v1``, and in what webhooks send."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import UNSET, Raw, Struct, UnsetType

from async_job.core.job import Attempt, ErrorInfo, ErrorKind, Job, Progress, State


class ProgressView(Struct, frozen=True):
    percent: float | None
    current: float
    total: float | None
    message: str | None


class ErrorView(Struct, frozen=True):
    kind: ErrorKind
    type: str
    message: str
    retryable: bool
    traceback: str


class AttemptView(Struct, frozen=True, kw_only=True):
    """A run. One that goes on has no ``ended_at`` and no ``reason``."""

    number: int
    started_at: str | None
    ended_at: str | None = None
    reason: str | None = None
    worker: str
    error: ErrorView | None = None


class Links(Struct, frozen=True, rename={"itself": "self"}):
    itself: str
    result: str
    cancel: str
    retry: str
    rerun: str
    events: str


class JobView(Struct, frozen=True, kw_only=True):
    """A job as ``/v1`` shows it. Times are RFC 3339 in UTC; ``done`` is the one boolean to loop on.

    Lists leave out ``input`` and ``result``. Where one job is read, ``queue_position`` (1: the next; counted up to
    1,000, where it is ``capped``) and ``estimated_start`` tell of the moment, and are no part of the version.
    """

    id: str
    type: str
    queue: str
    priority: int
    state: State
    done: bool
    status: str
    reason: str
    progress: ProgressView | None
    attempt: int
    max_attempts: int
    failures: int
    crashes: int
    max_crashes: int
    cancel_requested_at: str | None
    created_at: str
    scheduled_for: str
    start_by: str | None
    started_at: str | None
    finished_at: str | None
    updated_at: str
    kept_until: str | None
    labels: dict[str, str]
    input: Raw | UnsetType = UNSET
    result: Raw | UnsetType | None = UNSET
    error: ErrorView | None
    attempts: list[AttemptView]
    links: Links
    version: int
    queue_position: int | UnsetType | None = UNSET
    queue_position_capped: bool | UnsetType = UNSET
    estimated_start: str | UnsetType | None = UNSET


def time(at: int) -> str:
    """Milliseconds since 1970 as RFC 3339: ``2026-01-31T08:15:00.250Z``."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{milliseconds:03}Z"


def _time(at: int | None) -> str | None:
    return None if at is None else time(at)


def view_job(job: Job, root: str) -> JobView:
    """``root`` is where the application is mounted, as in ``/jobs``; empty: at the top."""
    return JobView(
        id=job.id,
        type=job.type,
        queue=job.queue,
        priority=job.priority,
        state=job.state,
        done=job.done,
        status=job.status,
        reason=job.reason,
        progress=view_progress(job.progress),
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        failures=job.failures,
        crashes=job.crashes,
        max_crashes=job.max_crashes,
        cancel_requested_at=_time(job.cancel_requested_at),
        created_at=time(job.created_at),
        scheduled_for=time(job.scheduled_for),
        start_by=_time(job.start_by),
        started_at=_time(job.started_at),
        finished_at=_time(job.finished_at),
        updated_at=time(job.updated_at),
        kept_until=_time(job.kept_until),
        labels=job.labels,
        input=Raw(job.input),
        result=None if job.result is None else Raw(job.result),
        error=view_error(job.error),
        attempts=_attempts(job),
        links=_links(job.id, root),
        version=job.version,
    )


def job_path(id: str, root: str) -> str:
    return f"{root}/v1/jobs/{id}"


def _links(id: str, root: str) -> Links:
    path = job_path(id, root)
    return Links(path, f"{path}/result", f"{path}/cancel", f"{path}/retry", f"{path}/rerun", f"{path}/events")


def view_progress(progress: Progress | None) -> ProgressView | None:
    if progress is None:
        return None
    return ProgressView(progress.percent, progress.current, progress.total, progress.message)


def view_error(error: ErrorInfo | None) -> ErrorView | None:
    if error is None:
        return None
    return ErrorView(error.kind, error.type, error.message, error.retryable, error.traceback)


def _attempts(job: Job) -> list[AttemptView]:
    """The ended runs, which are stored, and the one that goes on or succeeded, which shows in the job itself."""
    views = [_attempt(attempt) for attempt in job.attempts]
    if job.state is State.RUNNING:
        views.append(AttemptView(number=job.attempt, started_at=_time(job.started_at), worker=job.worker))
    elif job.state is State.SUCCEEDED:
        views.append(
            AttemptView(
                number=job.attempt,
                started_at=_time(job.started_at),
                ended_at=_time(job.finished_at),
                reason=job.reason,
                worker=job.worker,
            )
        )
    return views


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        started_at=time(attempt.started_at),
        ended_at=time(attempt.ended_at),
        reason=attempt.reason,
        worker=attempt.worker,
        error=view_error(attempt.error),
    )
