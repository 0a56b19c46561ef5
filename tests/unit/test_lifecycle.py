"""All policy: each pair of state and event, and what follows."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from msgspec.structs import asdict, replace

from async_job.core import backoff
from async_job.core.job import FINISHED, Attempt, Change, ErrorInfo, ErrorKind, Guard, Job, LogLine, Progress, State
from async_job.core.lifecycle import (
    ATTEMPTS_KEPT,
    HOUR,
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
from async_job.errors import AlreadyFinished, Lost, NotOverdue, NotRetryable

NOW = 1_700_000_000_000
TOKEN = "w:1"
DAY = 24 * HOUR

ERROR = ErrorInfo(kind=ErrorKind.APPLICATION, message="no luck", type="ValueError", retryable=True, at=NOW)
FATAL = replace(ERROR, retryable=False)

EVENTS: dict[str, Event] = {
    "succeeded": Succeeded(TOKEN, b"1"),
    "failed": Failed(TOKEN, ERROR),
    "timed out": Failed(TOKEN, replace(ERROR, kind=ErrorKind.TIMEOUT)),
    "failed for good": Failed(TOKEN, FATAL),
    "stopped": Stopped(TOKEN),
    "released": Released(TOKEN),
    "released for a neighbour": Released(TOKEN, "neighbour"),
    "released for want of a process": Released(TOKEN, "no_process", delay=5_000, error=ERROR),
    "not started": NotStarted(TOKEN),
    "not known": NotKnown(TOKEN),
    "crashed": Crashed(TOKEN, "signal 9", alone=True),
    "crashed with others": Crashed(TOKEN, "signal 9", alone=False),
    "lease lapsed": LeaseLapsed(TOKEN),
    "cancel": CancelRequested(),
    "retry": RetryRequested(),
    "overdue": Overdue(),
}
OF_A_RUN = [name for name, event in EVENTS.items() if hasattr(event, "token")]

RUNNING = {
    "succeeded": (State.SUCCEEDED, "succeeded"),
    "failed": (State.SCHEDULED, "retry_after_application"),
    "timed out": (State.SCHEDULED, "retry_after_timeout"),
    "failed for good": (State.FAILED, "application"),
    "stopped": (State.CANCELLED, "cancelled"),
    "released": (State.QUEUED, "shutdown"),
    "released for want of a process": (State.SCHEDULED, "no_process"),
    "released for a neighbour": (State.QUEUED, "neighbour"),
    "not started": (State.QUEUED, "not_started"),
    "not known": (State.SCHEDULED, "unknown_type"),
    "crashed": (State.QUEUED, "crashed"),
    "crashed with others": (State.QUEUED, "suspect"),
    "lease lapsed": (State.QUEUED, "lease_lapsed"),
    "cancel": (State.RUNNING, "cancel_requested"),
    "retry": NotRetryable,
    "overdue": NotOverdue,
}
CANCELLING = dict.fromkeys(OF_A_RUN, (State.CANCELLED, "cancelled")) | {
    "succeeded": (State.SUCCEEDED, "succeeded"),
    "cancel": None,
    "retry": NotRetryable,
    "overdue": NotOverdue,
}
WAITING = dict.fromkeys(OF_A_RUN, Lost) | {
    "cancel": (State.CANCELLED, "cancelled"),
    "retry": NotRetryable,
    "overdue": (State.EXPIRED, "expired"),
}
ENDED = dict.fromkeys(OF_A_RUN, Lost) | {
    "cancel": AlreadyFinished,
    "retry": (State.QUEUED, "retried"),
    "overdue": NotOverdue,
}


def job_in(state: State, **fields: Any) -> Job:
    """A job as it is in this state; its deadline has passed."""
    given: dict[str, Any] = {
        "id": "a",
        "type": "demo",
        "input": b"{}",
        "state": state,
        "created_at": NOW - 10_000,
        "scheduled_for": NOW - 9_000,
        "updated_at": NOW - 5_000,
        "start_by": NOW,
        "version": 7,
    }
    if state not in (State.SCHEDULED, State.QUEUED):
        given |= {"attempt": 1, "token": TOKEN, "started_at": NOW - 5_000}
    if state in FINISHED:
        given |= {"finished_at": NOW - 1, "kept_until": NOW + DAY, "error": FATAL, "cancel_requested_at": NOW - 2}
    return Job(**{**given, **fields})


def cases() -> Iterator[Any]:
    table: list[tuple[str, Job, dict[str, Any]]] = [
        ("scheduled", job_in(State.SCHEDULED), WAITING),
        ("queued", job_in(State.QUEUED), WAITING),
        ("running", job_in(State.RUNNING), RUNNING),
        ("running, to be cancelled", job_in(State.RUNNING, cancel_requested_at=NOW - 1), CANCELLING),
        ("succeeded", job_in(State.SUCCEEDED), ENDED | {"retry": NotRetryable}),
        *((str(state), job_in(state), ENDED) for state in (State.FAILED, State.CANCELLED, State.EXPIRED)),
    ]
    for name, job, expected in table:
        assert expected.keys() == EVENTS.keys()
        for event in EVENTS:
            yield pytest.param(job, EVENTS[event], expected[event], id=f"{name} - {event}")


def decided(job: Job, event: Event, now: int = NOW, retention: Retention | None = None) -> Change:
    change = decide(job, event, now, retention) if retention else decide(job, event, now)
    assert change is not None
    return change


def after(job: Job, event: Event, now: int = NOW, retention: Retention | None = None) -> Job:
    """The job as a store has it afterwards."""
    change = decided(job, event, now, retention)
    return replace(job, **change.fields, version=job.version + 1)


def run_again(job: Job, n: int = 2) -> Job:
    """The job as its next claim makes it."""
    return replace(job, state=State.RUNNING, attempt=job.attempt + 1, token=f"w:{n}", started_at=NOW)


def test_the_table_has_every_event() -> None:
    assert {type(event) for event in EVENTS.values()} == set(get_args(Event))


@pytest.mark.parametrize(("job", "event", "expected"), [*cases()])
def test_every_pair(job: Job, event: Event, expected: Any) -> None:
    if expected is None:
        assert decide(job, event, NOW) is None
    elif isinstance(expected, tuple):
        change = decided(job, event)
        assert (change.state, change.fields["reason"], change.fields["updated_at"]) == (*expected, NOW)
        assert change.job is job
        assert change.guard.state is job.state
        assert change.outcome is isinstance(event, get_args(Outcome))
    else:
        with pytest.raises(expected) as refusal:
            decide(job, event, NOW)
        assert refusal.value.job is job
        assert job.id in str(refusal.value)


@pytest.mark.parametrize("name", OF_A_RUN)
@pytest.mark.parametrize("token", ["w:2", "v:1", None])
def test_a_run_that_no_longer_owns_the_job_is_lost(name: str, token: str | None) -> None:
    with pytest.raises(Lost):
        decide(job_in(State.RUNNING, token=token), EVENTS[name], NOW)


class TestGuards:
    @pytest.mark.parametrize("name", OF_A_RUN)
    def test_an_end_needs_the_run_and_rests_on_no_cancel(self, name: str) -> None:
        either_way = name in ("succeeded", "stopped")
        wanted = Guard(state=State.RUNNING, token=TOKEN, uncancelled=not either_way, lapsed=name == "lease lapsed")
        assert decided(job_in(State.RUNNING), EVENTS[name]).guard == wanted
        cancelling = job_in(State.RUNNING, cancel_requested_at=1)
        assert decided(cancelling, EVENTS[name]).guard == replace(wanted, uncancelled=False)

    def test_a_cancel_asks_once(self) -> None:
        guard = decided(job_in(State.RUNNING), CancelRequested()).guard
        assert guard == Guard(state=State.RUNNING, token=TOKEN, uncancelled=True)

    @pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED])
    @pytest.mark.parametrize("event", [CancelRequested(), Overdue()])
    def test_a_waiting_job_only_has_to_wait_still(self, state: State, event: Event) -> None:
        assert decided(job_in(state), event).guard == Guard(state=state, deadline=event == Overdue())

    def test_a_retry_only_needs_the_end(self) -> None:
        assert decided(job_in(State.FAILED), RetryRequested()).guard == Guard(state=State.FAILED)


class TestSuccess:
    def test_it_keeps_the_result_and_drops_an_earlier_error(self) -> None:
        job = after(job_in(State.RUNNING, error=ERROR), Succeeded(TOKEN, b'{"x":1}'))
        assert (job.result, job.error, job.attempts) == (b'{"x":1}', None, ())
        assert (job.finished_at, job.failures, job.crashes) == (NOW, 0, 0)

    def test_it_may_come_after_a_cancel_was_asked(self) -> None:
        job = after(job_in(State.RUNNING, cancel_requested_at=5), Succeeded(TOKEN, b"1"))
        assert (job.state, job.cancel_requested_at) == (State.SUCCEEDED, 5)


class TestProgressAndLog:
    LINES = (LogLine(1, "x"),)

    @pytest.mark.parametrize(
        "event",
        [
            Succeeded(TOKEN, b"1", Progress(1), LINES),
            Failed(TOKEN, FATAL, progress=Progress(1), log=LINES),
            Stopped(TOKEN, Progress(1), LINES),
        ],
    )
    def test_the_last_of_them_stays_with_an_end(self, event: Event) -> None:
        change = decided(job_in(State.RUNNING), event)
        assert (change.fields["progress"], change.log) == (Progress(1), self.LINES)

    @pytest.mark.parametrize("event", [Succeeded(TOKEN, b"1"), Failed(TOKEN, FATAL), Stopped(TOKEN)])
    def test_an_end_without_one_leaves_what_was_reported(self, event: Event) -> None:
        assert "progress" not in decided(job_in(State.RUNNING), event).fields

    @pytest.mark.parametrize(
        "event",
        [
            Failed(TOKEN, ERROR, progress=Progress(1), log=LINES),
            Released(TOKEN, progress=Progress(1), log=LINES),
            NotKnown(TOKEN),
            Crashed(TOKEN, "x", alone=True),
            LeaseLapsed(TOKEN),
        ],
    )
    def test_the_next_run_begins_anew_and_the_log_goes_on(self, event: Event) -> None:
        change = decided(job_in(State.RUNNING, progress=Progress(5)), event)
        assert change.fields["progress"] is None
        assert change.log == getattr(event, "log", ())


class TestFailures:
    def test_back_off_grows_with_the_failures(self) -> None:
        job = job_in(State.RUNNING, max_attempts=10)
        for failures in range(1, 10):
            job = after(job, Failed(job.token or "", ERROR))
            assert job.failures == failures
            assert job.scheduled_for == NOW + backoff.delay("a", failures, failures)
            job = run_again(job, failures + 1)
        assert after(job, Failed(job.token or "", ERROR)).state is State.FAILED

    @pytest.mark.parametrize("wait", [0, 5, HOUR])
    def test_a_delay_of_its_own(self, wait: int) -> None:
        assert after(job_in(State.RUNNING), Failed(TOKEN, ERROR, delay=wait)).scheduled_for == NOW + wait

    @pytest.mark.parametrize("max_attempts", [1, 2, 3, 7])
    def test_as_many_as_there_are_attempts(self, max_attempts: int) -> None:
        job, failures = job_in(State.RUNNING, max_attempts=max_attempts), 0
        while True:
            job = after(job, Failed(job.token or "", ERROR))
            failures += 1
            if job.done:
                break
            job = run_again(job, failures + 1)
        assert failures == job.failures == max_attempts == len(job.attempts)
        assert (job.state, job.reason, job.error) == (State.FAILED, "application", ERROR)

    def test_one_that_no_attempt_can_mend_is_the_last(self) -> None:
        job = after(job_in(State.RUNNING), Failed(TOKEN, FATAL))
        assert (job.state, job.failures, job.error) == (State.FAILED, 1, FATAL)

    @pytest.mark.parametrize("kind", ErrorKind)
    def test_the_reason_is_the_kind(self, kind: ErrorKind) -> None:
        fatal = Failed(TOKEN, replace(FATAL, kind=kind))
        assert after(job_in(State.RUNNING), fatal).reason == str(kind)

    @pytest.mark.parametrize("error", [ERROR, FATAL])
    def test_one_that_had_to_be_killed_runs_alone(self, error: ErrorInfo) -> None:
        assert after(job_in(State.RUNNING), Failed(TOKEN, error, isolate=True)).suspect
        assert not after(job_in(State.RUNNING), Failed(TOKEN, error)).suspect

    def test_what_no_process_could_be_started_for_waits_and_is_charged_nothing(self) -> None:
        job = after(job_in(State.RUNNING), Released(TOKEN, "no_process", delay=5_000, error=ERROR))
        assert (job.state, job.scheduled_for, job.error) == (State.SCHEDULED, NOW + 5_000, ERROR)
        assert (job.failures, job.crashes, job.suspect) == (0, 0, False)
        assert (job.attempts[-1].reason, job.attempts[-1].error) == ("no_process", ERROR)

    def test_crashes_and_returns_count_nothing_here(self) -> None:
        for event in (Released(TOKEN), Crashed(TOKEN, "x", alone=True), LeaseLapsed(TOKEN), NotKnown(TOKEN)):
            assert after(job_in(State.RUNNING, failures=2), event).failures == 2


class TestCrashes:
    def test_alone_it_is_charged(self) -> None:
        job = after(job_in(State.RUNNING), Crashed(TOKEN, "signal 9", alone=True))
        assert (job.crashes, job.suspect, job.failures) == (1, True, 0)
        assert job.error == ErrorInfo(kind=ErrorKind.CRASHED, message="signal 9", retryable=True, at=NOW)
        assert job.scheduled_for == NOW - 9_000, "it keeps its rank"

    def test_a_death_that_has_a_reason_keeps_it(self) -> None:
        job = after(job_in(State.RUNNING), Crashed(TOKEN, "too much", alone=False, reason="memory"))
        assert (job.state, job.reason, job.crashes, job.suspect) == (State.QUEUED, "memory", 0, True)
        assert job.attempts[-1].reason == "memory"
        job = after(job_in(State.RUNNING, crashes=4), Crashed(TOKEN, "too much", alone=True, reason="memory"))
        assert (job.state, job.reason, job.crashes) == (State.FAILED, "memory", 5)

    def test_among_others_it_is_suspect_and_charged_nothing(self) -> None:
        job = after(job_in(State.RUNNING, crashes=4), Crashed(TOKEN, "signal 9", alone=False))
        assert (job.state, job.crashes, job.suspect) == (State.QUEUED, 4, True)

    @pytest.mark.parametrize("max_crashes", [1, 2, 5])
    @pytest.mark.parametrize("lost_machine", [False, True])
    def test_as_many_as_are_allowed(self, max_crashes: int, lost_machine: bool) -> None:
        job, crashes = job_in(State.RUNNING, max_crashes=max_crashes), 0
        while True:
            token = job.token or ""
            job = after(job, LeaseLapsed(token) if lost_machine else Crashed(token, "exit 1", alone=True))
            crashes += 1
            if job.done:
                break
            job = run_again(job, crashes + 1)
        assert crashes == job.crashes == max_crashes
        assert (job.state, job.reason) == (State.FAILED, "crashed")
        assert job.error is not None
        assert job.error.kind is ErrorKind.CRASHED

    def test_a_lost_machine_makes_no_suspect_and_keeps_one(self) -> None:
        assert not after(job_in(State.RUNNING), LeaseLapsed(TOKEN)).suspect
        assert after(job_in(State.RUNNING, suspect=True), LeaseLapsed(TOKEN)).suspect

    @pytest.mark.parametrize("cancelling", [None, 5])
    @pytest.mark.parametrize("crashes", [0, 4])
    def test_a_rescue_takes_the_token_away(self, cancelling: int | None, crashes: int) -> None:
        job = after(job_in(State.RUNNING, cancel_requested_at=cancelling, crashes=crashes), LeaseLapsed(TOKEN))
        assert (job.token, job.crashes) == (None, crashes + 1)
        assert job.attempts[-1].worker == "w"

    @pytest.mark.parametrize("name", [name for name in OF_A_RUN if name != "lease lapsed"])
    def test_nothing_else_does(self, name: str) -> None:
        assert after(job_in(State.RUNNING), EVENTS[name]).token == TOKEN


class TestCancel:
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED])
    def test_before_the_start_it_ends_the_job(self, state: State) -> None:
        job = after(job_in(state), CancelRequested())
        assert (job.state, job.cancel_requested_at, job.finished_at) == (State.CANCELLED, NOW, NOW)
        assert job.error == ErrorInfo(kind=ErrorKind.CANCELLED, message="cancelled before it started", at=NOW)

    def test_of_a_run_it_is_a_wish(self) -> None:
        job = after(job_in(State.RUNNING), CancelRequested())
        assert (job.state, job.cancel_requested_at, job.finished_at, job.token) == (State.RUNNING, NOW, None, TOKEN)

    @pytest.mark.parametrize("name", [name for name in OF_A_RUN if name != "succeeded"])
    def test_with_any_other_end_it_never_starts_again(self, name: str) -> None:
        job = after(job_in(State.RUNNING, cancel_requested_at=5), EVENTS[name])
        assert (job.state, job.cancel_requested_at, job.kept_until) == (State.CANCELLED, 5, NOW + DAY)
        assert job.error is not None
        assert job.error.kind is ErrorKind.CANCELLED
        assert name == "not started" or job.attempts[-1].reason == "cancelled"

    @pytest.mark.parametrize(
        ("event", "failures", "crashes"),
        [
            (Failed(TOKEN, ERROR), 1, 0),
            (Crashed(TOKEN, "x", alone=True), 0, 1),
            (Crashed(TOKEN, "x", alone=False), 0, 0),
            (LeaseLapsed(TOKEN), 0, 1),
            (Released(TOKEN), 0, 0),
            (Stopped(TOKEN), 0, 0),
        ],
    )
    def test_the_end_is_counted_all_the_same(self, event: Event, failures: int, crashes: int) -> None:
        job = after(job_in(State.RUNNING, cancel_requested_at=5), event)
        assert (job.failures, job.crashes) == (failures, crashes)

    def test_what_the_run_ended_by_is_told(self) -> None:
        job = after(job_in(State.RUNNING, cancel_requested_at=5), Failed(TOKEN, ERROR))
        assert job.error is not None
        assert "no luck" in job.error.message
        assert job.attempts[-1].error == ERROR


class TestRetry:
    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.EXPIRED])
    def test_it_begins_anew_and_forgets_no_attempt(self, state: State) -> None:
        past = (Attempt(number=1, started_at=1, ended_at=2, reason="application"),)
        ended = job_in(state, failures=3, crashes=5, suspect=True, attempts=past, attempt=4, progress=Progress(1))
        job = after(ended, RetryRequested())
        assert job == replace(
            ended,
            state=State.QUEUED,
            reason="retried",
            version=8,
            updated_at=NOW,
            scheduled_for=NOW,
            failures=0,
            crashes=0,
            suspect=False,
            start_by=None,
            finished_at=None,
            kept_until=None,
            cancel_requested_at=None,
            progress=None,
            error=None,
        )
        assert (job.attempt, job.attempts) == (4, past)

    def test_the_attempts_go_on_counting(self) -> None:
        job = run_again(after(job_in(State.FAILED, failures=3), RetryRequested()))
        assert after(job, Failed("w:2", ERROR)).attempts[-1].number == 2


class TestDeadline:
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED])
    def test_at_it_the_job_expires(self, state: State) -> None:
        job = after(job_in(state), Overdue())
        assert (job.state, job.finished_at) == (State.EXPIRED, NOW)
        assert job.error == ErrorInfo(kind=ErrorKind.EXPIRED, message="not started by its deadline", at=NOW)

    @pytest.mark.parametrize("fields", [{"start_by": NOW + 1}, {"start_by": None}, {"attempt": 1}])
    def test_not_before_nor_without_one_nor_once_started(self, fields: dict[str, Any]) -> None:
        with pytest.raises(NotOverdue):
            decide(job_in(State.QUEUED, **fields), Overdue(), NOW)


class TestUnknownType:
    def test_it_goes_back_for_five_seconds_uncharged(self) -> None:
        job = after(job_in(State.RUNNING), NotKnown(TOKEN))
        assert (job.state, job.scheduled_for) == (State.SCHEDULED, NOW + 5_000)
        assert (job.failures, job.crashes, job.attempts) == (0, 0, ())
        assert job.error is not None
        assert (job.error.kind, job.error.at) == (ErrorKind.UNKNOWN_TYPE, NOW)
        assert "'demo'" in job.error.message

    def test_after_a_day_it_fails(self) -> None:
        job = run_again(after(job_in(State.RUNNING), NotKnown(TOKEN)))
        job = run_again(after(job, NotKnown("w:2"), NOW + DAY - 1), 3)
        assert job.error is not None
        assert job.error.at == NOW
        job = after(job, NotKnown("w:3"), NOW + DAY)
        assert (job.state, job.reason, job.finished_at) == (State.FAILED, "unknown_type", NOW + DAY)

    @pytest.mark.parametrize("event", [Failed("w:2", ERROR), Released("w:2"), LeaseLapsed("w:2")])
    def test_the_day_begins_anew_once_a_worker_knew_it(self, event: Event) -> None:
        job = run_again(after(job_in(State.RUNNING), NotKnown(TOKEN)))
        job = run_again(after(job, event, NOW + HOUR), 3)
        job = after(job, NotKnown("w:3"), NOW + 2 * DAY)
        assert job.state is State.SCHEDULED
        assert job.error is not None
        assert job.error.at == NOW + 2 * DAY

    def test_a_success_forgets_it(self) -> None:
        job = run_again(after(job_in(State.RUNNING), NotKnown(TOKEN)))
        assert after(job, Succeeded("w:2", b"1")).error is None


class TestRetention:
    KEPT = Retention(succeeded=1, cancelled=2, expired=3, failed=4)
    ENDS = (
        (State.RUNNING, Succeeded(TOKEN, b"1"), 1, DAY),
        (State.RUNNING, Stopped(TOKEN), 2, DAY),
        (State.QUEUED, CancelRequested(), 2, DAY),
        (State.SCHEDULED, Overdue(), 3, DAY),
        (State.RUNNING, Failed(TOKEN, FATAL), 4, 7 * DAY),
    )

    @pytest.mark.parametrize(("state", "event", "kept", "usual"), ENDS)
    def test_by_the_state_it_ended_in(self, state: State, event: Event, kept: int, usual: int) -> None:
        assert after(job_in(state), event, NOW, self.KEPT).kept_until == NOW + kept
        assert after(job_in(state), event).kept_until == NOW + usual

    @pytest.mark.parametrize(("state", "event", "kept", "usual"), ENDS)
    def test_nought_is_for_ever(self, state: State, event: Event, kept: int, usual: int) -> None:
        for_ever = Retention(succeeded=0, cancelled=0, expired=0, failed=0)
        assert after(job_in(state), event, NOW, for_ever).kept_until is None


class TestAttempts:
    @pytest.mark.parametrize(
        "name", [name for name in OF_A_RUN if name not in ("succeeded", "not started", "not known")]
    )
    def test_each_run_that_did_not_succeed_is_kept(self, name: str) -> None:
        (attempt,) = after(job_in(State.RUNNING), EVENTS[name]).attempts
        assert (attempt.number, attempt.worker) == (1, "w")
        assert (attempt.started_at, attempt.ended_at) == (NOW - 5_000, NOW)
        assert attempt.reason

    @pytest.mark.parametrize("cancelled", [None, 5])
    def test_what_was_not_begun_is_none(self, cancelled: int | None) -> None:
        job = after(job_in(State.RUNNING, attempt=3, cancel_requested_at=cancelled), NotStarted(TOKEN))
        assert (job.attempt, job.started_at, job.attempts, job.failures, job.crashes) == (2, None, (), 0, 0)
        assert (job.error is None) == (cancelled is None)

    def test_the_newest_fifty_stay(self) -> None:
        job = job_in(State.RUNNING)
        for n in range(2, 70):
            job = run_again(after(job, Released(job.token or "")), n)
        assert [attempt.number for attempt in job.attempts] == [*range(69 - ATTEMPTS_KEPT, 69)]

    def test_a_traceback_is_kept_once_with_the_job(self) -> None:
        job = after(job_in(State.RUNNING), Failed(TOKEN, replace(ERROR, traceback="Traceback …")))
        assert job.error is not None
        assert job.attempts[-1].error is not None
        assert (job.error.traceback, job.attempts[-1].error.traceback) == ("Traceback …", "")


def test_no_decision_touches_the_job() -> None:
    for state in State:
        for event in EVENTS.values():
            job = job_in(state)
            before = asdict(job)
            try:
                decide(job, event, NOW)
            except (Lost, AlreadyFinished, NotRetryable, NotOverdue):
                continue
            finally:
                assert asdict(job) == before
