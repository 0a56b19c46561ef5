"""A job as a row, and back; a delivery, which is no more than its row, back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import convert

from async_job.core.delivery import Delivery
from async_job.core.job import Job, State
from async_job.errors import StoreBroken, Unreadable
from async_job.store import codec

COLUMNS: Final = (
    "id", "type", "queue", "state", "reason", "version", "priority", "created_at", "scheduled_for", "updated_at",
    "attempt", "max_attempts", "failures", "max_crashes", "crashes", "suspect", "token", "timeout", "start_by",
    "started_at", "finished_at", "kept_until", "cancel_requested_at", "unique_key", "owner", "webhook", "life",
    "logged", "labels", "progress", "error", "attempts", "input", "result",
)  # fmt: skip
"""Every field of a job has a column of its name; those that hold JSON are NULL when they are empty."""

SUBMITTED: Final = (
    "id", "type", "queue", "state", "priority", "created_at", "scheduled_for", "updated_at", "max_attempts",
    "max_crashes", "suspect", "timeout", "start_by", "unique_key", "owner", "webhook", "labels", "input",
)  # fmt: skip
"""What a submit can set; the rest is the same for all new jobs, and only changes write it."""

DELIVERY_COLUMNS: Final = Delivery.__struct_fields__

STATES: Final = {str(state): state for state in State}


def row_of(job: Job) -> tuple[Any, ...]:
    """What goes into ``SUBMITTED``. Written out, because it runs for every job."""
    return (
        job.id, job.type, job.queue, job.state, job.priority, job.created_at, job.scheduled_for, job.updated_at,
        job.max_attempts, job.max_crashes, job.suspect, job.timeout, job.start_by, job.unique_key, job.owner,
        job.webhook,
        codec.encode(job.labels).decode() if job.labels else None,
        job.input,
    )  # fmt: skip


def job_of(row: tuple[Any, ...]) -> Job:
    """The job that a row of ``COLUMNS`` holds. Raises ``Unreadable`` when it holds something else."""
    (
        id, type, queue, state, reason, version, priority, created_at, scheduled_for, updated_at, attempt, max_attempts,
        failures, max_crashes, crashes, suspect, token, timeout, start_by, started_at, finished_at, kept_until,
        cancel_requested_at, unique_key, owner, webhook, life, logged, labels, progress, error, attempts, input, result,
    ) = row  # fmt: skip
    try:
        # By place, in the order of the fields.
        return Job(
            id, type, input, STATES[state], created_at, scheduled_for, updated_at, reason, version, queue, priority,
            attempt, max_attempts, failures, max_crashes, crashes, bool(suspect), token, timeout, start_by, started_at,
            finished_at, kept_until, cancel_requested_at, unique_key, owner, webhook,
            codec.decode_labels(labels) if labels else {},
            codec.decode_progress(progress) if progress else None,
            result,
            codec.decode_error(error) if error else None,
            codec.decode_attempts(attempts) if attempts else (),
            life, logged,
        )  # fmt: skip
    except (ValueError, KeyError) as error:
        raise Unreadable(f"job {id} cannot be read: {error!r}; run `async-job check`") from error


def values_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a change writes, as values for their columns."""
    values = dict(fields)
    for name in ("labels", "progress", "error", "attempts"):
        if name in values:
            values[name] = codec.encode(values[name]).decode() if values[name] else None
    return values


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """The delivery that a row of ``DELIVERY_COLUMNS`` holds. Raises ``StoreBroken`` when it holds something else."""
    try:
        return convert(dict(zip(DELIVERY_COLUMNS, row, strict=True)), Delivery)
    except ValueError as error:
        raise StoreBroken(f"a delivery cannot be read: {error}") from error
