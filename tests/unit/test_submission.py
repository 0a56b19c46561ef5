"""How a job comes to be: defaults and options, checked and joined."""

from typing import Any

import pytest

from async_job.core.job import State
from async_job.core.submission import Defaults, Options, check, new_job
from async_job.errors import InvalidOptions

NOW = 1_700_000_000_000
DEFAULTS = Defaults(type="mail", queue="slow", max_attempts=7, max_crashes=2, timeout=1.5)


def make(**options: Any) -> Any:
    return new_job("id", DEFAULTS, b"{}", Options(**options), NOW)


def test_a_job_is_as_its_function_says() -> None:
    job = make()
    assert (job.id, job.type, job.input, job.queue) == ("id", "mail", b"{}", "slow")
    assert (job.max_attempts, job.max_crashes, job.timeout, job.priority) == (7, 2, 1_500, 0)
    assert (job.state, job.scheduled_for, job.created_at, job.updated_at) == (State.QUEUED, NOW, NOW, NOW)
    assert (job.start_by, job.unique_key, job.labels, job.owner) == (None, None, {}, None)


def test_what_the_caller_says_goes_before_what_the_function_says() -> None:
    job = make(queue="fast", max_attempts=1, timeout=60, priority=-9, unique_key="k", labels={"a": ""})
    assert (job.queue, job.max_attempts, job.timeout, job.priority) == ("fast", 1, 60_000, -9)
    assert (job.unique_key, job.labels) == ("k", {"a": ""})


def test_a_delay_schedules() -> None:
    job = make(delay=0.25)
    assert (job.state, job.scheduled_for) == (State.SCHEDULED, NOW + 250)
    assert make(delay=0).state is State.QUEUED


def test_a_time_to_come_schedules_and_a_time_that_has_passed_does_not() -> None:
    job = make(run_at=NOW + 1)
    assert (job.state, job.scheduled_for) == (State.SCHEDULED, NOW + 1)
    late = make(run_at=NOW - 5)
    # Its rank is not better than that of one submitted now.
    assert (late.state, late.scheduled_for) == (State.QUEUED, NOW)


def test_the_deadline_counts_from_when_it_is_ready() -> None:
    assert make(start_within=2).start_by == NOW + 2_000
    assert make(start_within=2, delay=3).start_by == NOW + 5_000


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("queue", ""),
        ("queue", "a b"),
        ("queue", "ä"),
        ("queue", "a\n"),
        ("queue", "x" * 65),
        ("queue", 3),
        ("priority", 10),
        ("priority", -10),
        ("priority", 1.5),
        ("priority", 2.0),
        ("priority", True),
        ("priority", "high"),
        ("priority", None),
        ("delay", -0.001),
        ("delay", float("nan")),
        ("delay", float("inf")),
        ("delay", 4e8),
        ("delay", "5"),
        ("start_within", 0),
        ("timeout", 0),
        ("timeout", -1),
        ("max_attempts", 0),
        ("max_attempts", 1001),
        ("max_attempts", 2.5),
        ("on_conflict", "ignore"),
        ("unique_key", ""),
        ("unique_key", "x" * 256),
        ("unique_key", "a\nb"),
        ("unique_key", 7),
        ("labels", {f"l{n}": "" for n in range(33)}),
        ("labels", {"a b": ""}),
        ("labels", {"": ""}),
        ("labels", {"a": "x" * 257}),
        ("labels", {"a": 3}),
        ("labels", {3: "a"}),
    ],
)
def test_an_option_that_cannot_be_is_named(option: str, value: Any) -> None:
    with pytest.raises(InvalidOptions) as invalid:
        check(Options(**{option: value}))
    assert invalid.value.option == option
    with pytest.raises(InvalidOptions):
        make(**{option: value})


def test_the_limits_themselves_are_allowed() -> None:
    check(
        Options(
            queue="x" * 64,
            priority=9,
            delay=10 * 365 * 86_400,
            start_within=0.001,
            timeout=0.001,
            max_attempts=1_000,
            unique_key="é" * 255,
            labels={f"{n:064}": "x" * 256 for n in range(32)},
        )
    )


def test_a_delay_and_a_time_are_too_much() -> None:
    with pytest.raises(InvalidOptions, match="not both"):
        check(Options(delay=1, run_at=NOW))


def test_a_time_in_another_unit_is_noticed() -> None:
    with pytest.raises(InvalidOptions, match="ten years"):
        make(run_at=NOW * 1000)
