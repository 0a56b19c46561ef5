"""From the JSON of a job to the ``Job`` that it is in process."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from async_job.client.refusals import Problem
from async_job.core.job import Attempt, ErrorInfo, Job, Progress, State
from async_job.errors import ServerError
from async_job.job_view import AttemptView, ErrorView, JobView, ProgressView

T = TypeVar("T")


class ReceivedJob(JobView, frozen=True, kw_only=True):
    """A job as it is read. Lists leave its input and its result out unless asked for them."""

    input: Raw = Raw(b"")
    result: Raw = Raw(b"")


class ReceivedList(Struct, frozen=True):
    items: list[ReceivedJob]
    next_cursor: str | None
    complete: bool


class ReceivedItem(Struct, frozen=True):
    """What became of one job of a batch."""

    status: int
    job: ReceivedJob | None = None
    problem: Problem = Problem("")


class ReceivedBatch(Struct, frozen=True):
    items: list[ReceivedItem]


class JobType(Struct, frozen=True):
    """A function that is registered on the server, with the JSON Schemas of what it takes and gives."""

    type: str
    description: str
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]


class JobTypes(Struct, frozen=True):
    items: list[JobType]


def decode(body: bytes, type: type[T], url: str) -> T:
    """What a good answer holds. Raises ``ServerError`` when it is something else."""
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServerError(f"{url} answered with something that is no {type.__name__} ({error})") from error


def read_job(view: ReceivedJob) -> Job:
    """The job, as far as the server shows it: without its token, its unique key, its owner and its timeout.

    The JSON does not tell a result that is ``null`` from one that is no longer kept; it is taken for the first.
    """
    return Job(
        id=view.id,
        type=view.type,
        input=bytes(view.input),
        state=view.state,
        created_at=milliseconds(view.created_at),
        scheduled_for=milliseconds(view.scheduled_for),
        updated_at=milliseconds(view.updated_at),
        reason=view.reason,
        version=view.version,
        queue=view.queue,
        priority=view.priority,
        attempt=view.attempt,
        max_attempts=view.max_attempts,
        failures=view.failures,
        max_crashes=view.max_crashes,
        crashes=view.crashes,
        start_by=_ms_or_none(view.start_by),
        started_at=_ms_or_none(view.started_at),
        finished_at=_ms_or_none(view.finished_at),
        kept_until=_ms_or_none(view.kept_until),
        cancel_requested_at=_ms_or_none(view.cancel_requested_at),
        labels=view.labels,
        progress=None if view.progress is None else read_progress(view.progress),
        result=(bytes(view.result) or None) if view.state is State.SUCCEEDED else None,
        error=_error(view.error, view.finished_at),
        attempts=tuple(_attempt(attempt, attempt.ended_at) for attempt in view.attempts if _is_kept(attempt, view)),
    )


def _is_kept(attempt: AttemptView, view: ReceivedJob) -> bool:
    """Whether a job lists the run itself: one that has ended, and not well."""
    return attempt.ended_at is not None and not (view.state is State.SUCCEEDED and attempt.number == view.attempt)


def _attempt(view: AttemptView, ended_at: str | None) -> Attempt:
    return Attempt(
        number=view.number,
        started_at=_ms_or_none(view.started_at) or 0,
        ended_at=_ms_or_none(ended_at) or 0,
        reason=view.reason or "",
        worker=view.worker,
        error=_error(view.error, ended_at),
    )


def _error(view: ErrorView | None, at: str | None) -> ErrorInfo | None:
    if view is None:
        return None
    return ErrorInfo(
        kind=view.kind,
        message=view.message,
        type=view.type,
        retryable=view.retryable,
        traceback=view.traceback,
        at=_ms_or_none(at) or 0,
    )


def read_progress(view: ProgressView) -> Progress:
    return Progress(view.current, view.total, view.message)


def milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _ms_or_none(time: str | None) -> int | None:
    return None if time is None else milliseconds(time)
