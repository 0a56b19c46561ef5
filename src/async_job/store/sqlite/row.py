"""A job as a row, and back; a delivery, which is no more than its row, back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import convert

from async_job.core.delivery import Delivery
from async_job.core.job import Job, State
from async_job.store import codec

COLUMNS: Final = (
    "id", "type", "queue", "state", "reason", "version", "priority", "created_at", "scheduled_for", "updated_at",
    "attempt", "max_attempts", "failures", "max_crashes", "crashes", "suspect", "token", "timeout", "start_by",
    "started_at", "finished_at", "kept_until", "cancel_requested_at", "unique_key", "owner", "webhook", "life",
    "logged", "labels", "progress", "error", "attempts", "input", "result",
)  # fmt: skip
"""Every field of a job has a column of its name; those that hold JSON are NULL when they are empty."""

DELIVERY_COLUMNS: Final = Delivery.__struct_fields__

STATES: Final = {str(state): state for state in State}


def row_of(job: Job) -> tuple[Any, ...]:
    """What goes into ``COLUMNS``. Written out, because it runs for every job."""
    return (
        job.id, job.type, job.queue, job.state, job.reason, job.version, job.priority, job.created_at,
        job.scheduled_for, job.updated_at, job.attempt, job.max_attempts, job.failures, job.max_crashes, job.crashes,
        job.suspect, job.token, job.timeout, job.start_by, job.started_at, job.finished_at, job.kept_until,
        job.cancel_requested_at, job.unique_key, job.owner, job.webhook, job.life, job.logged,
        codec.encode(job.labels).decode() if job.labels else None,
        codec.encode(job.progress).decode() if job.progress else None,
        codec.encode(job.error).decode() if job.error else None,
        codec.encode(job.attempts).decode() if job.attempts else None,
        job.input, job.result,
    )  # fmt: skip


def job_of(row: tuple[Any, ...]) -> Job:
    """The job that a row of ``COLUMNS`` holds."""
    (
        id, type, queue, state, reason, version, priority, created_at, scheduled_for, updated_at, attempt, max_attempts,
        failures, max_crashes, crashes, suspect, token, timeout, start_by, started_at, finished_at, kept_until,
        cancel_requested_at, unique_key, owner, webhook, life, logged, labels, progress, error, attempts, input, result,
    ) = row  # fmt: skip
    return Job(
        id=id,
        type=type,
        input=input,
        state=STATES[state],
        created_at=created_at,
        scheduled_for=scheduled_for,
        updated_at=updated_at,
        reason=reason,
        version=version,
        queue=queue,
        priority=priority,
        attempt=attempt,
        max_attempts=max_attempts,
        failures=failures,
        max_crashes=max_crashes,
        crashes=crashes,
        suspect=bool(suspect),
        token=token,
        timeout=timeout,
        start_by=start_by,
        started_at=started_at,
        finished_at=finished_at,
        kept_until=kept_until,
        cancel_requested_at=cancel_requested_at,
        unique_key=unique_key,
        owner=owner,
        webhook=webhook,
        life=life,
        logged=logged,
        labels=codec.decode_labels(labels) if labels else {},
        progress=codec.decode_progress(progress) if progress else None,
        result=result,
        error=codec.decode_error(error) if error else None,
        attempts=codec.decode_attempts(attempts) if attempts else (),
    )


def values_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a change writes, as values for their columns."""
    values = dict(fields)
    for name in ("labels", "progress", "error", "attempts"):
        if name in values:
            values[name] = codec.encode(values[name]).decode() if values[name] else None
    return values


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """The delivery that a row of ``DELIVERY_COLUMNS`` holds."""
    return convert(dict(zip(DELIVERY_COLUMNS, row, strict=True)), Delivery)
