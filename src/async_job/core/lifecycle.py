"""All policy: may this happen, and what follows? One pure function, ``decide``; ``now`` is an argument.

scheduled → queued → running → succeeded | failed | cancelled
scheduled, queued → cancelled | expired
running → scheduled      own error or timeout, attempts left: after a back-off
running → queued         its worker was lost or gave it back
failed, cancelled, expired → queued      only by an explicit retry
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from async_job.core import backoff
from async_job.core.delivery import delivery_of
from async_job.core.job import (
    FINISHED,
    Attempt,
    Change,
    ErrorInfo,
    ErrorKind,
    Guard,
    Job,
    LogLine,
    Progress,
    State,
)
from async_job.errors import AlreadyFinished, Lost, NotOverdue, NotRetryable

ATTEMPTS_KEPT: Final = 50
"""A job that is given back by every deployment for a month must not grow without end."""
UNKNOWN_TYPE_PAUSE: Final = 5_000
UNKNOWN_TYPE_LIMIT: Final = 24 * 3_600_000
HOUR: Final = 3_600_000


class Retention(Struct, frozen=True, kw_only=True):
    """How long finished jobs are kept, in milliseconds by the state they ended in; 0: for ever."""

    succeeded: int = 24 * HOUR
    cancelled: int = 24 * HOUR
    expired: int = 24 * HOUR
    failed: int = 7 * 24 * HOUR


DEFAULT_RETENTION: Final = Retention()


class Succeeded(Struct, frozen=True):
    """The run returned ``result``, JSON text in bytes."""

    token: str
    result: bytes
    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()


class Failed(Struct, frozen=True):
    """The run raised, ran out of time, or gave something that is no result. It is tried again if
    ``error.retryable`` and attempts are left, after ``delay`` ms (``None``: the usual back-off).
    ``isolate``: it had to be killed, and runs alone from now on."""

    token: str
    error: ErrorInfo
    delay: int | None = None
    isolate: bool = False
    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()


class Stopped(Struct, frozen=True):
    """The run ended because it was asked to cancel."""

    token: str
    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()


class Released(Struct, frozen=True):
    """The worker gives the job back, uncharged: on ``shutdown``, because a ``neighbour`` ended its process, or because
    ``no_process`` could be started for it, as ``error`` says; then it may be claimed again after ``delay`` ms."""

    token: str
    reason: str = "shutdown"
    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()
    delay: int = 0
    error: ErrorInfo | None = None


class NotStarted(Struct, frozen=True):
    """The worker gives a job back that it has claimed and not begun: as if it had not been claimed."""

    token: str


class NotKnown(Struct, frozen=True):
    """The worker has no function of the job's type."""

    token: str


class Crashed(Struct, frozen=True):
    """The process that ran the job died. ``cause`` says how (a signal, an exit code, memory). ``alone``: it ran
    nothing else, so this job did it; otherwise nobody knows which, and each runs alone next. ``reason`` is the one
    that the job comes back with, if there is a better word than "crashed" or "suspect"."""

    token: str
    cause: str
    alone: bool
    reason: str = ""


class LeaseLapsed(Struct, frozen=True):
    """Nobody has renewed the lease of the worker that holds the job."""

    token: str


class CancelRequested(Struct, frozen=True):
    """Somebody asks for the job to be cancelled."""


class RetryRequested(Struct, frozen=True):
    """Somebody asks for an ended job to be run again."""


class Overdue(Struct, frozen=True):
    """The job's deadline to start has passed."""


Outcome = Succeeded | Failed | Stopped | Released | NotStarted | NotKnown | Crashed
Event = Outcome | LeaseLapsed | CancelRequested | RetryRequested | Overdue


def decide(job: Job, event: Event, now: int, retention: Retention = DEFAULT_RETENTION) -> Change | None:
    """What follows from ``event`` for ``job``; ``None`` when the job already is as asked.

    Raises:
        Lost: a run reports on a job that it does not own (any more).
        AlreadyFinished, NotRetryable, NotOverdue: the state does not allow it.
    """
    change = _decide(job, event, now, retention)
    if change is None or job.webhook is None or change.state not in FINISHED:
        return change
    return replace(change, deliveries=(delivery_of(job.id, job.version, job.webhook, change.state, now),))


def _decide(job: Job, event: Event, now: int, retention: Retention) -> Change | None:
    match event:
        case CancelRequested():
            return _cancel(job, now, retention)
        case RetryRequested():
            return _retry(job, now)
        case Overdue():
            return _expire(job, now, retention)
        case _:
            return _end_run(job, event, now, retention)


def _end_run(job: Job, event: Outcome | LeaseLapsed, now: int, retention: Retention) -> Change:
    if job.state is not State.RUNNING or job.token != event.token:
        raise Lost(f"job {job.id} is no longer held by {event.token}: it is {job.state}", job)
    match event:
        case Succeeded():
            fields = _end(State.SUCCEEDED, "succeeded", now, retention)
            fields["result"] = event.result
            fields["error"] = None
            return _outcome(job, event, fields, uncancelled=False)
        case Stopped():
            return _outcome(job, event, _cancelled(job, "cancelled", now, retention), uncancelled=False)
        case Failed():
            return _fail(job, event, now, retention)
        case Released():
            return _give_back(job, event, now, retention)
        case NotStarted():
            return _not_started(job, event, now, retention)
        case NotKnown():
            return _not_known(job, event, now, retention)
        case Crashed():
            return _crash(job, event, now, retention)
        case LeaseLapsed():
            return _rescue(job, event, now, retention)


def _fail(job: Job, event: Failed, now: int, retention: Retention) -> Change:
    error = event.error
    failures = job.failures + 1
    if job.cancel_requested_at is not None:
        fields = _cancelled(job, "cancelled", now, retention, error)
    elif error.retryable and failures < job.max_attempts:
        wait = backoff.delay(job.id, job.attempt, failures) if event.delay is None else event.delay
        fields = _state(State.SCHEDULED, f"retry_after_{error.kind}", now)
        fields["scheduled_for"] = now + wait
        fields["error"] = error
        fields["attempts"] = _attempts(job, fields["reason"], now, error)
    else:
        fields = _end(State.FAILED, str(error.kind), now, retention)
        fields["error"] = error
        fields["attempts"] = _attempts(job, fields["reason"], now, error)
    fields["failures"] = failures
    if event.isolate:
        fields["suspect"] = True
    return _outcome(job, event, fields)


def _crash(job: Job, event: Crashed, now: int, retention: Retention) -> Change:
    error = ErrorInfo(kind=ErrorKind.CRASHED, message=event.cause, retryable=True, at=now)
    crashes = job.crashes + event.alone
    if job.cancel_requested_at is not None:
        fields = _cancelled(job, "cancelled", now, retention, error)
    elif event.alone and crashes >= job.max_crashes:
        fields = _end(State.FAILED, event.reason or "crashed", now, retention)
        fields["error"] = error
        fields["attempts"] = _attempts(job, fields["reason"], now, error)
    else:
        fields = _state(State.QUEUED, event.reason or ("crashed" if event.alone else "suspect"), now)
        fields["suspect"] = True
        fields["error"] = error
        fields["attempts"] = _attempts(job, fields["reason"], now, error)
    fields["crashes"] = crashes
    return _outcome(job, event, fields)


def _rescue(job: Job, event: LeaseLapsed, now: int, retention: Retention) -> Change:
    message = "the worker's lease ran out: its machine was lost, paused or cut off"
    error = ErrorInfo(kind=ErrorKind.CRASHED, message=message, retryable=True, at=now)
    crashes = job.crashes + 1
    cancelled = job.cancel_requested_at is not None
    if cancelled:
        fields = _cancelled(job, "cancelled", now, retention, error)
    elif crashes >= job.max_crashes:
        fields = _end(State.FAILED, "crashed", now, retention)
        fields["error"] = error
        fields["attempts"] = _attempts(job, "lease_lapsed", now, error)
    else:
        fields = _state(State.QUEUED, "lease_lapsed", now)
        fields["error"] = error
        fields["attempts"] = _attempts(job, "lease_lapsed", now, error)
        fields["progress"] = None
    fields["crashes"] = crashes
    fields["token"] = None
    guard = Guard(state=State.RUNNING, token=job.token, uncancelled=not cancelled, lapsed=True)
    return Change(job=job, guard=guard, fields=fields)


def _give_back(job: Job, event: Released, now: int, retention: Retention) -> Change:
    if job.cancel_requested_at is not None:
        fields = _cancelled(job, "cancelled", now, retention, event.error)
    else:
        fields = _state(State.SCHEDULED if event.delay else State.QUEUED, event.reason, now)
        fields["attempts"] = _attempts(job, event.reason, now, event.error)
        if event.delay:
            fields["scheduled_for"] = now + event.delay
        if event.error is not None:
            fields["error"] = event.error
    return _outcome(job, event, fields)


def _not_started(job: Job, event: NotStarted, now: int, retention: Retention) -> Change:
    """It was no attempt: a deadline to start, if it has one, goes on."""
    if job.cancel_requested_at is not None:
        fields = _end(State.CANCELLED, "cancelled", now, retention)
        fields["error"] = ErrorInfo(kind=ErrorKind.CANCELLED, message="cancelled before it started", at=now)
    else:
        fields = _state(State.QUEUED, "not_started", now)
    fields["attempt"] = job.attempt - 1
    fields["started_at"] = None
    return _outcome(job, event, fields)


def _not_known(job: Job, event: NotKnown, now: int, retention: Retention) -> Change:
    message = f"no worker that claimed this job knows the type {job.type!r}"
    error = _first_not_known(job) or ErrorInfo(kind=ErrorKind.UNKNOWN_TYPE, message=message, at=now)
    if job.cancel_requested_at is not None:
        fields = _cancelled(job, "cancelled", now, retention)
    elif now - error.at >= UNKNOWN_TYPE_LIMIT:
        fields = _end(State.FAILED, "unknown_type", now, retention)
        fields["error"] = error
    else:
        fields = _state(State.SCHEDULED, "unknown_type", now)
        fields["scheduled_for"] = now + UNKNOWN_TYPE_PAUSE
        fields["error"] = error
    return _outcome(job, event, fields)


def _first_not_known(job: Job) -> ErrorInfo | None:
    """The error of the first worker that did not know the type, unless another has known it and run the job since."""
    error = job.error
    if error is None or error.kind is not ErrorKind.UNKNOWN_TYPE:
        return None
    ran_since = bool(job.attempts) and job.attempts[-1].ended_at > error.at
    return None if ran_since else error


def _cancel(job: Job, now: int, retention: Retention) -> Change | None:
    if job.state in FINISHED:
        raise AlreadyFinished(f"job {job.id} has already ended: {job.state}", job)
    if job.state is State.RUNNING:
        if job.cancel_requested_at is not None:
            return None
        fields = _state(State.RUNNING, "cancel_requested", now)
        fields["cancel_requested_at"] = now
        return Change(job=job, guard=Guard(state=State.RUNNING, token=job.token, uncancelled=True), fields=fields)
    fields = _end(State.CANCELLED, "cancelled", now, retention)
    fields["cancel_requested_at"] = now
    fields["error"] = ErrorInfo(kind=ErrorKind.CANCELLED, message="cancelled before it started", at=now)
    return Change(job=job, guard=Guard(state=job.state), fields=fields)


def _retry(job: Job, now: int) -> Change:
    if job.state not in FINISHED or job.state is State.SUCCEEDED:
        raise NotRetryable(f"job {job.id} is {job.state}: only failed, cancelled and expired jobs can be retried", job)
    fields = _state(State.QUEUED, "retried", now)
    fields |= {"scheduled_for": now, "failures": 0, "crashes": 0, "suspect": False, "start_by": None}
    fields |= {"finished_at": None, "kept_until": None, "cancel_requested_at": None, "progress": None, "error": None}
    return Change(job=job, guard=Guard(state=job.state), fields=fields)


def _expire(job: Job, now: int, retention: Retention) -> Change:
    waiting = job.state is State.QUEUED or job.state is State.SCHEDULED
    if not waiting or job.attempt or job.start_by is None or job.start_by > now:
        raise NotOverdue(f"job {job.id} has no deadline that has passed", job)
    fields = _end(State.EXPIRED, "expired", now, retention)
    fields["error"] = ErrorInfo(kind=ErrorKind.EXPIRED, message="not started by its deadline", at=now)
    return Change(job=job, guard=Guard(state=job.state, deadline=True), fields=fields)


def _state(state: State, reason: str, now: int) -> dict[str, Any]:
    return {"state": state, "reason": reason, "updated_at": now}


def _end(state: State, reason: str, now: int, retention: Retention) -> dict[str, Any]:
    fields = {"state": state, "reason": reason, "updated_at": now, "finished_at": now}
    kept = getattr(retention, state)
    if kept:
        fields["kept_until"] = now + kept
    return fields


def _cancelled(job: Job, reason: str, now: int, retention: Retention, cause: ErrorInfo | None = None) -> dict[str, Any]:
    fields = _end(State.CANCELLED, reason, now, retention)
    message = f"cancelled; the run ended by: {cause.message}" if cause else "cancelled while it ran"
    fields["error"] = ErrorInfo(kind=ErrorKind.CANCELLED, message=message, at=now)
    fields["attempts"] = _attempts(job, reason, now, cause)
    return fields


def _outcome(job: Job, event: Outcome, fields: dict[str, Any], uncancelled: bool = True) -> Change:
    """A change that ends a run. Unless the end is the same either way, it rests on no cancel having been asked."""
    guard = Guard(state=State.RUNNING, token=job.token, uncancelled=uncancelled and job.cancel_requested_at is None)
    progress = getattr(event, "progress", None)
    if fields["state"] not in FINISHED:
        fields["progress"] = None
    elif progress is not None:
        fields["progress"] = progress
    return Change(job=job, guard=guard, fields=fields, log=getattr(event, "log", ()), outcome=True)


def _attempts(job: Job, reason: str, now: int, error: ErrorInfo | None) -> tuple[Attempt, ...]:
    if error is not None and error.traceback:
        error = replace(error, traceback="")
    ended = Attempt(
        number=job.attempt,
        started_at=job.started_at or job.created_at,
        ended_at=now,
        reason=reason,
        worker=job.worker,
        error=error,
    )
    return (*job.attempts, ended)[-ATTEMPTS_KEPT:]
