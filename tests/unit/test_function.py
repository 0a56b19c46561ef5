"""Registered functions: called they run, submitted they become jobs, with options in between."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from async_job import Context, InvalidInput, InvalidOptions, JobFunction, Jobs, RegistrationError
from async_job.clock import ManualClock
from async_job.core.submission import Options

jobs = Jobs(store="memory://", clock=ManualClock())


@jobs.job
async def add(a: int, b: int = 2) -> int:
    """Adds.

    Two numbers.
    """
    return a + b


@jobs.job(name="mail.send-2", queue="mail", max_attempts=7, max_crashes=9, timeout=1.5, runner="process")
def send(ctx: Context, to: str) -> str:
    ctx.log("to %s", to)
    ctx.progress(1, 2)
    return f"{to} {ctx.attempt} {ctx.cancelled}"


def with_attributes(n: int) -> int:
    return n


with_attributes.runner = "nowhere"  # type: ignore[attr-defined]
with_attributes.defaults = None  # type: ignore[attr-defined]
with_attributes.mark = "kept"  # type: ignore[attr-defined]


def test_attributes_of_a_function_are_kept_and_change_nothing() -> None:
    made = Jobs(store="memory://").job(with_attributes)
    assert (made.runner, made.type) == ("thread", "with_attributes")
    assert made.mark == "kept"  # type: ignore[attr-defined]


def test_a_job_is_no_function_to_make_another_of() -> None:
    with pytest.raises(RegistrationError, match=r"made\.function"):
        Jobs(store="memory://").job(name="other")(add)
    assert Jobs(store="memory://").job(name="other")(add.function).type == "other"


@jobs.job
def odd_names(function: int, self: int, args: int, loop: int) -> int:
    return function + self + args + loop


async def test_calling_runs_the_function() -> None:
    assert await add(1) == 3
    assert await add(1, b=5) == 6


def test_calling_fills_in_a_context_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert send("ada") == "ada 0 False"
    assert "to ada" in caplog.text


def test_it_looks_like_its_function() -> None:
    assert (add.__name__, add.__doc__, add.__module__) == ("add", add.function.__doc__, __name__)
    assert inspect.signature(add) == inspect.signature(add.function)
    assert add.description == "Adds.\n\nTwo numbers."
    assert send.description == ""
    assert repr(send) == "<JobFunction 'mail.send-2' (process)>"


def test_the_decorator_says_how_its_jobs_are() -> None:
    defaults = send.defaults
    assert (defaults.type, defaults.queue, defaults.max_attempts) == ("mail.send-2", "mail", 7)
    assert (defaults.max_crashes, defaults.timeout, send.runner) == (9, 1.5, "process")
    assert (add.type, add.defaults.queue, add.runner, odd_names.runner) == ("add", "default", "async", "thread")


async def test_parameters_may_have_any_name() -> None:
    handle = await odd_names.submit(function=1, self=2, args=3, loop=4)
    assert (await handle.job()).input == b'{"function":1,"self":2,"args":3,"loop":4}'
    assert odd_names(function=1, self=2, args=3, loop=4) == 10


def test_parameters_may_have_any_name_without_a_loop_too() -> None:
    handle = odd_names.submit_sync(function=1, self=2, args=3, loop=4)
    assert handle.job_sync().input == b'{"function":1,"self":2,"args":3,"loop":4}'
    jobs.blocking.close()


async def test_a_wrong_argument_stores_nothing() -> None:
    store = await jobs.store()
    before = (await store.counts()).states
    untyped: Any = add
    for args, kwargs in ((("1",), {}), ((), {}), ((1,), {"c": 3})):
        with pytest.raises(InvalidInput):
            await untyped.submit(*args, **kwargs)
    assert (await store.counts()).states == before


async def test_an_input_that_is_too_large_is_refused() -> None:
    small = Jobs(store="memory://", max_input=20)
    take = small.job(name="take")(lambda: None)

    @small.job
    def text(value: str) -> None: ...

    await take.submit()
    await text.submit("x" * 8)
    with pytest.raises(InvalidInput, match="21 bytes; at most 20"):
        await text.submit("x" * 9)
    await small.close()


async def test_options_are_those_of_one_copy() -> None:
    later = add.with_options(
        delay=60, priority=5, start_within=10, timeout=3, max_attempts=1, queue="q", unique_key="u", labels={"a": "b"}
    )
    store = await jobs.store()
    job = await (await later.submit(1)).job()
    assert job.scheduled_for == store.now() + 60_000
    assert (job.priority, job.start_by, job.timeout) == (5, job.scheduled_for + 10_000, 3_000)
    assert (job.max_attempts, job.queue, job.unique_key, job.labels) == (1, "q", "u", {"a": "b"})
    plain = await (await add.submit(1)).job()
    assert (plain.priority, plain.queue, plain.unique_key) == (0, "default", None)
    assert (later.type, later.function) == (add.type, add.function)
    assert await later(1) == 3


async def test_a_time_of_any_zone_is_the_same_moment() -> None:
    store = await jobs.store()
    moment = datetime.fromtimestamp(store.now() / 1000, UTC) + timedelta(hours=3)
    for run_at in (moment, moment.astimezone(timezone(timedelta(hours=-7)))):
        job = await (await add.with_options(run_at=run_at).submit(1)).job()
        assert job.scheduled_for == store.now() + 3 * 3_600_000


def test_options_can_be_given_bit_by_bit() -> None:
    soon = add.with_options(priority=3, labels={"color": "blue"}, delay=5).with_options(timeout=9)
    assert soon.options == Options(priority=3, labels={"color": "blue"}, delay=5, timeout=9)
    at = soon.with_options(run_at=datetime(2030, 1, 1, tzinfo=UTC), labels={}).options
    assert (at.delay, at.run_at, at.priority, at.labels) == (None, 1_893_456_000_000, 3, {})
    assert add.options == Options()


def test_labels_are_copied() -> None:
    labels = {"a": "b"}
    later = add.with_options(labels=labels)
    labels["a"] = "c"
    assert later._options.labels == {"a": "b"}


@pytest.mark.parametrize(
    "options",
    [
        {"run_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - that is what is wrong with it
        {"priority": 10},
        {"delay": -1},
        {"delay": 1, "run_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"queue": "a b"},
        {"on_conflict": "explode"},
        {"labels": {"a b": ""}},
    ],
)
def test_an_option_that_cannot_be_is_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions) as invalid:
        add.with_options(**options)
    assert invalid.value.option in options


def plain() -> None: ...
async def coroutine() -> None: ...
def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (plain, {"runner": "async"}, "needs an async def"),
        (coroutine, {"runner": "thread"}, "async def"),
        (plain, {"runner": "rocket"}, "rocket"),
        (generator, {}, "generator"),
        (async_generator, {}, "generator"),
        (plain, {"name": "a b"}, "a b"),
        (plain, {"queue": ""}, "queue"),
        (plain, {"max_attempts": 0}, "max_attempts"),
        (plain, {"max_crashes": 0}, "max_crashes"),
        (plain, {"max_crashes": 1.5}, "max_crashes"),
        (plain, {"timeout": 0}, "timeout"),
        (lambda: None, {}, "<lambda>"),
        (functools.partial(plain), {}, "name"),
    ],
)
def test_a_wrong_registration_is_told_and_leaves_nothing(
    function: Callable[..., Any], options: dict[str, Any], says: str
) -> None:
    fresh = Jobs(store="memory://")
    with pytest.raises(RegistrationError, match=says):
        fresh.job(**options)(function)
    assert list(fresh.functions) == ["demo"]


def test_a_name_is_given_once() -> None:
    fresh = Jobs(store="memory://")
    first = fresh.job(plain)
    with pytest.raises(RegistrationError, match="registered already"):
        fresh.job(name="plain")(coroutine)
    assert fresh.functions["plain"] is first


@pytest.mark.parametrize("runner", ["thread", "process"])
def test_a_runner_may_be_named(runner: Any) -> None:
    assert Jobs(store="memory://").job(runner=runner)(plain).runner == runner


def test_a_coroutine_may_run_in_a_process() -> None:
    assert Jobs(store="memory://").job(runner="process")(coroutine).runner == "process"


async def test_functions_submit_from_many_tasks_at_once() -> None:
    handles = await asyncio.gather(*[add.submit(n) for n in range(50)])
    assert len({handle.id for handle in handles}) == 50
    assert all(isinstance(function, JobFunction) for function in jobs.functions.values())
