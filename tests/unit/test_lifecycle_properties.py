"""`decide` over any job and any event: it always answers or refuses, always the same, and only as the rules allow."""

from dataclasses import dataclass
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields as fields_of
from msgspec.structs import replace

from async_job.core.job import FINISHED, Attempt, ErrorInfo, ErrorKind, Job, LogLine, Progress, State
from async_job.core.lifecycle import (
    ATTEMPTS_KEPT,
    CancelRequested,
    Crashed,
    Event,
    Failed,
    LeaseLapsed,
    NotKnown,
    NotStarted,
    Outcome,
    Overdue,
    Released,
    Retention,
    RetryRequested,
    Stopped,
    Succeeded,
    decide,
)
from async_job.errors import Conflict

ALLOWED = {
    State.SCHEDULED: {State.CANCELLED, State.EXPIRED},
    State.QUEUED: {State.CANCELLED, State.EXPIRED},
    State.RUNNING: {State.RUNNING, State.SCHEDULED, State.QUEUED, State.SUCCEEDED, State.FAILED, State.CANCELLED},
    State.SUCCEEDED: set(),
    State.FAILED: {State.QUEUED},
    State.CANCELLED: {State.QUEUED},
    State.EXPIRED: {State.QUEUED},
}
ATTRIBUTES = {field.name for field in fields_of(Job)}
FIXED = {"id", "type", "input", "created_at", "version", "queue", "priority", "attempt", "max_attempts", "max_crashes",
         "timeout", "started_at", "unique_key", "labels"}  # fmt: skip

times = st.integers(0, 2**45)
counts = st.integers(0, 60)
tokens = st.sampled_from(("w:1", "w:2", "v:1", "a:b:3"))
errors = st.builds(
    ErrorInfo,
    kind=st.sampled_from(ErrorKind),
    message=st.text(max_size=5),
    retryable=st.booleans(),
    traceback=st.text(max_size=5),
    at=times,
)
attempts = st.builds(
    Attempt, number=counts, started_at=times, ended_at=times, reason=st.just("x"), error=st.none() | errors
)
progress = st.none() | st.builds(Progress, st.floats(allow_nan=False))
lines = st.tuples() | st.tuples(st.builds(LogLine, times, st.text(max_size=5)))
jobs = st.builds(
    Job,
    id=st.text(max_size=5),
    type=st.text(max_size=5),
    input=st.binary(max_size=5),
    state=st.sampled_from(State),
    created_at=times,
    scheduled_for=times,
    updated_at=times,
    version=st.integers(1, 99),
    priority=st.integers(-9, 9),
    attempt=counts,
    max_attempts=st.integers(1, 10),
    failures=counts,
    max_crashes=st.integers(1, 10),
    crashes=counts,
    suspect=st.booleans(),
    token=st.none() | tokens,
    start_by=st.none() | times,
    started_at=st.none() | times,
    finished_at=st.none() | times,
    kept_until=st.none() | times,
    cancel_requested_at=st.none() | times,
    progress=progress,
    error=st.none() | errors,
    attempts=st.lists(attempts, max_size=3).map(tuple) | st.lists(attempts, min_size=50, max_size=50).map(tuple),
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Succeeded, tokens, st.binary(max_size=5), progress, lines),
    st.builds(Failed, tokens, errors, st.none() | st.integers(0, 2**40), st.booleans(), progress, lines),
    st.builds(Stopped, tokens, progress, lines),
    st.builds(Released, tokens, st.sampled_from(("shutdown", "neighbour")), progress, lines),
    st.builds(NotStarted, tokens),
    st.builds(NotKnown, tokens),
    st.builds(Crashed, tokens, st.text(max_size=5), st.booleans()),
    st.builds(LeaseLapsed, tokens),
    st.builds(CancelRequested),
    st.builds(RetryRequested),
    st.builds(Overdue),
)
retentions = st.builds(Retention, succeeded=times, cancelled=times, expired=times, failed=times)


@dataclass
class Refused:
    error: type[Conflict]
    message: str


def answer(job: Job, event: Event, now: int, retention: Retention) -> object:
    try:
        return decide(job, event, now, retention)
    except Conflict as error:
        return Refused(type(error), str(error))


@given(jobs, events, times, retentions)
def test_it_answers_or_refuses_and_always_the_same(job: Job, event: Event, now: int, retention: Retention) -> None:
    copy = replace(job)
    assert answer(job, event, now, retention) == answer(copy, replace(event), now, replace(retention))
    assert job == copy


@given(jobs, events, times, retentions)
def test_a_change_is_as_the_rules_allow(job: Job, event: Event, now: int, retention: Retention) -> None:
    # Owned as often as not, or most would be refused.
    if hasattr(event, "token") and job.attempt % 2:
        job = replace(job, token=event.token, state=State.RUNNING)
    change = answer(job, event, now, retention)
    if change is None or isinstance(change, Refused):
        return
    after = replace(job, **change.fields)
    undone = {"attempt", "started_at"} if isinstance(event, NotStarted) else set()
    assert change.fields.keys() - undone <= ATTRIBUTES - FIXED
    assert after.attempt == job.attempt - bool(undone)
    assert after.state in ALLOWED[job.state]
    assert (after.updated_at, after.reason) == (now, change.fields["reason"])
    assert change.guard.state is job.state
    assert change.guard.token == (job.token if job.state is State.RUNNING else None)
    assert change.guard.lapsed is isinstance(event, LeaseLapsed)
    assert change.outcome is isinstance(event, get_args(Outcome))
    assert not (change.guard.uncancelled and job.cancel_requested_at is not None)
    assert len(after.attempts) <= ATTEMPTS_KEPT
    assert after.token == (None if isinstance(event, LeaseLapsed) else job.token)
    if after.state in FINISHED:
        kept = getattr(retention, after.state)
        assert after.finished_at == now
        assert change.fields.get("kept_until") == (now + kept if kept else None)
        assert (after.result is not None) == (after.state is State.SUCCEEDED)
        assert (after.error is None) == (after.state is State.SUCCEEDED)
    if isinstance(event, RetryRequested):
        assert (after.failures, after.crashes, after.kept_until, after.start_by) == (0, 0, None, None)
        assert after.attempts == job.attempts
    else:
        assert job.failures <= after.failures <= job.failures + 1
        assert job.crashes <= after.crashes <= job.crashes + 1
        assert after.failures + after.crashes <= job.failures + job.crashes + 1
    if after.state in (State.QUEUED, State.SCHEDULED):
        assert job.cancel_requested_at is None or isinstance(event, RetryRequested)
        assert after.progress is None
