"""The checker of the fault tests finds each kind of fault; otherwise its silence would mean nothing."""

import pytest

from async_job.core.job import Attempt, Job, State
from support.checker import Verdict, judge
from support.jobs import make_job
from support.ledger import EVERYTHING, Line


def sent(*ids: str) -> list[Line]:
    return [Line(what, id, 0, 9, 0.0) for id in ids for what in ("invoke", "ok")]


def start(attempt: int = 1, pid: int = 1, at: float = 1.0, id: str = "a") -> Line:
    return Line("start", id, attempt, pid, at)


def end(attempt: int = 1, pid: int = 1, at: float = 2.0, id: str = "a") -> Line:
    return Line("end", id, attempt, pid, at)


def fault(at: float, pid: int = 1) -> Line:
    return Line("fault", "SIGKILL", 0, pid, at)


def job(state: State = State.SUCCEEDED, attempt: int = 1, *reasons: str, life: str = "", **fields: object) -> Job:
    ended = tuple(Attempt(number=n + 1, started_at=1, ended_at=2, reason=reason) for n, reason in enumerate(reasons))
    runs = "".join(f"{2 * n}r{2 * n + 1}q" for n in range(1, attempt))
    last = {State.SUCCEEDED: "s", State.FAILED: "f", State.RUNNING: ""}[state]
    default = f"{runs}{2 * attempt}r" + (f"{2 * attempt + 1}{last}" if last else "")
    given = {"state": state, "attempt": attempt, "attempts": ended, "life": life or default, "result": b"%d" % attempt}
    return make_job(0, "a", **{**given, **fields})


def bad(verdict: Verdict) -> set[str]:
    assert bool(verdict.why) is not verdict.clean
    wrong = ("lost", "unexpected", "unexplained", "stale_accepted", "illegal", "stuck")
    return {name for name in wrong if getattr(verdict, name)}


def test_nothing_is_found_where_all_is_well() -> None:
    assert judge([job()], [*sent("a"), start(), end()]).clean
    assert judge([job(), None], [*sent("a"), Line("invoke", "b", 0, 9, 0.0), start(), end()]).clean


def test_what_was_sent_and_acknowledged_is_counted() -> None:
    verdict = judge([job(), None], [*sent("a"), Line("invoke", "b", 0, 9, 0.0), start(), end()])
    assert (verdict.attempted, verdict.acknowledged) == (2, 1)


def test_a_job_that_is_gone_is_lost() -> None:
    assert bad(judge([None], [*sent("a"), start(), end()])) == {"lost"}


def test_a_job_that_failed_or_never_came_to_its_end_is_lost() -> None:
    assert bad(judge([job(State.FAILED)], [*sent("a"), start(), end()])) == {"lost"}
    assert bad(judge([job()], [*sent("a"), start()])) == {"lost"}


def test_a_job_may_fail_where_that_is_what_is_tried() -> None:
    assert judge([job(State.FAILED)], [*sent("a"), start()], {State.FAILED}).clean


def test_a_job_that_has_not_ended_is_stuck() -> None:
    assert bad(judge([job(State.RUNNING)], [*sent("a"), start(), end()])) == {"stuck"}


def test_a_job_that_nobody_sent_is_unexpected() -> None:
    assert bad(judge([], [start(), end()])) == {"unexpected"}


def test_two_runs_of_one_attempt_are_unexplained_whatever_happened() -> None:
    history = [*sent("a"), start(), fault(1.2), start(pid=2, at=1.5), end(), end(pid=2)]
    assert bad(judge([job()], history)) == {"unexplained"}


@pytest.mark.parametrize("pid", [1, EVERYTHING])
def test_a_fault_of_its_process_explains_a_second_run(pid: int) -> None:
    history = [*sent("a"), start(), end(), fault(2.5, pid), start(2, pid=2, at=3.0), end(2, pid=2, at=4.0)]
    verdict = judge([job(State.SUCCEEDED, 2, "crashed")], history)
    assert verdict.clean
    assert verdict.explained == 1


@pytest.mark.parametrize("other", [fault(2.5, pid=7), fault(0.5), fault(3.5)])
def test_another_fault_explains_nothing(other: Line) -> None:
    history = [*sent("a"), start(), other, start(2, pid=2, at=3.0), end(2, pid=2, at=4.0)]
    assert bad(judge([job(State.SUCCEEDED, 2, "lease_lapsed")], history)) == {"unexplained"}


def test_a_stop_explains_a_take_over_until_a_little_after_it_went_on() -> None:
    stopped = [fault(1.5), Line("healed", "SIGCONT", 0, 1, 6.0)]
    taken = [start(2, pid=2, at=6.5), end(2, pid=2, at=7.0)]
    assert judge([job(State.SUCCEEDED, 2, "lease_lapsed")], [*sent("a"), start(), *stopped, *taken]).clean
    late = [start(at=20.0), start(2, pid=2, at=25.0), end(2, pid=2, at=26.0)]
    assert bad(judge([job(State.SUCCEEDED, 2, "lease_lapsed")], [*sent("a"), *stopped, *late])) == {"unexplained"}


def test_a_run_that_told_its_own_end_is_followed_by_another() -> None:
    history = [*sent("a"), start(), start(2, pid=2, at=3.0), end(2, pid=2, at=4.0)]
    assert judge([job(State.SUCCEEDED, 2, "shutdown")], history).clean
    assert judge([job(State.SUCCEEDED, 2, "retry_after_application")], history).clean


def test_a_retry_explains_a_run_after_one_that_had_ended() -> None:
    runs, retry = [start(), start(2, pid=2, at=3.0), end(2, pid=2, at=4.0)], Line("retry", "a", 0, 9, 2.5)
    cancelled = job(State.SUCCEEDED, 2, "cancelled", life="2r3c4q5r6s")
    assert judge([cancelled], [*sent("a"), *runs, retry]).clean
    assert bad(judge([cancelled], [*sent("a"), *runs])) == {"unexplained"}
    # The first run goes on, as far as anybody knows.
    assert bad(judge([job(State.SUCCEEDED, 2)], [*sent("a"), *runs, retry])) == {"unexplained"}


def test_the_result_of_a_run_that_was_overtaken_is_stale() -> None:
    history = [*sent("a"), start(), fault(1.2), start(2, pid=2, at=1.5), end()]
    assert bad(judge([job(State.SUCCEEDED, 2, "lease_lapsed")], history)) == {"stale_accepted"}
    both = [*history, end(2, pid=2)]
    assert bad(judge([job(State.SUCCEEDED, 2, "lease_lapsed", result=b"1")], both)) == {"stale_accepted"}
    assert judge([job(State.SUCCEEDED, 2, "lease_lapsed")], both).clean


@pytest.mark.parametrize("life", ["2s", "2r3s4s", "2r3q4s", "2r2s", "2r3f", "2r3s4r5s", "2r3d4q5r6s", "2q3r4d5r6s"])
def test_a_way_that_there_is_not_is_illegal(life: str) -> None:
    assert bad(judge([job(life=life)], [*sent("a"), start(), end()])) == {"illegal"}


@pytest.mark.parametrize("life", ["2r3s", "2r3q4r5s", "2q3r4s", "2r3r4s", "2r9s"])
def test_a_way_that_there_is_is_legal(life: str) -> None:
    assert judge([job(life=life)], [*sent("a"), start(), end()]).clean
