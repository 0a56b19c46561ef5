"""A registered function: called directly it runs, submitted it becomes a job."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar

from msgspec.structs import replace

from async_job.context import Context, DetachedRun
from async_job.core.submission import ATTEMPTS, NO_OPTIONS, Defaults, OnConflict, Options, check, check_name
from async_job.errors import InvalidOptions, RegistrationError
from async_job.handle import Handle
from async_job.schema import InputSchema, ResultSchema
from async_job.submitting import Request

if TYPE_CHECKING:
    from async_job.jobs import Jobs

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

Runner = Literal["async", "thread", "process"]
"""Where a function runs: on the worker's event loop, in a thread of the worker, or in a warm child process."""


class JobFunction(Generic[P, R, C]):
    """A typed, registered function.

    ``P`` are its own parameters without the context, ``R`` is its result, ``C`` what calling it gives (``R``, or a
    coroutine of it).
    """

    def __init__(self, jobs: Jobs, function: Callable[..., Any], defaults: Defaults, runner: Runner | None) -> None:
        if isinstance(function, JobFunction):
            raise RegistrationError(
                f"job {defaults.type!r} is made of a job: register the plain function, as in job(…)(made.function)"
            )
        # First, because it takes over whatever attributes the function has.
        functools.update_wrapper(self, function)
        self._jobs = jobs
        self._options = NO_OPTIONS
        self.function = function
        self.defaults = defaults
        self.runner: Runner = _runner(function, runner, defaults.type)
        self.input = InputSchema(function, defaults.type)
        self.result = ResultSchema(function, defaults.type)

    @property
    def type(self) -> str:
        """The name under which it is registered."""
        return self.defaults.type

    @property
    def options(self) -> Options:
        """What ``with_options`` has set for the jobs that are submitted through this."""
        return self._options

    @property
    def description(self) -> str:
        """The function's docstring, without its indentation; empty if it has none."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> C:
        """Runs the function here and now, as if it were not registered; a missing ``Context`` is filled in."""
        context = Context("", 0, DetachedRun(self.type))
        positional, named = self.input.fill_context(args, dict(kwargs), context)
        result: C = self.function(*positional, **named)
        return result

    async def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Stores a job that will run the function with these arguments; it is durable when this returns.

        Raises:
            InvalidInput: an argument does not fit its annotation; nothing was stored.
            UniqueKeyHeld: a live job has the unique key, and ``on_conflict`` is ``reject``, or ``replace`` and the job
                runs already.
            StoreError: the store cannot take it.
        """
        return await self._jobs.submit(self, self.input.encode(args, dict(kwargs)), self._options)

    def submit_sync(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """As ``submit``, for callers without an event loop. From any thread; not from inside a running loop."""
        handle: Handle[R] = self._jobs.blocking.call(self.submit, *args, **kwargs)
        return handle

    def request(self, /, *args: P.args, **kwargs: P.kwargs) -> Request[R]:
        """A job to be submitted with others, by ``jobs.submit_many([…])``. Raises ``InvalidInput``."""
        return self._jobs.request(self, self.input.encode(args, dict(kwargs)), self._options)

    def with_options(
        self,
        *,
        delay: float | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        start_within: float | None = None,
        timeout: float | None = None,
        max_attempts: int | None = None,
        queue: str | None = None,
        unique_key: str | None = None,
        on_conflict: Literal["return_existing", "reject", "replace"] | None = None,
        labels: Mapping[str, str] | None = None,
        webhook: str | None = None,
    ) -> JobFunction[P, R, C]:
        """The same function, with options for the jobs that are submitted through what is returned. What is left out
        stays as it is, so options can be given bit by bit.

        Args:
            delay: seconds to wait before the job may start.
            run_at: when it may start; with a time zone. Not together with ``delay``.
            priority: -9 to 9, higher first; one step is worth a minute of waiting.
            start_within: seconds; a job not started that long after it was ready expires.
            timeout: seconds for each attempt.
            unique_key: at most one live job of this type has it; ``on_conflict`` says what happens otherwise.
            labels: names and values to find the job by.
            webhook: the name of an endpoint to tell of the job's end, or a URL.

        Raises:
            InvalidOptions: an option has a value that cannot be.
        """
        if run_at is not None and run_at.tzinfo is None:
            raise InvalidOptions("run_at must have a time zone", "run_at")
        given = {
            "queue": queue,
            "priority": priority,
            "delay": delay,
            "run_at": None if run_at is None else round(run_at.timestamp() * 1000),
            "start_within": start_within,
            "timeout": timeout,
            "max_attempts": max_attempts,
            "unique_key": unique_key,
            "on_conflict": None if on_conflict is None else _on_conflict(on_conflict),
            "labels": None if labels is None else dict(labels),
            "webhook": webhook,
        }
        changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if ("delay" in changed) != ("run_at" in changed):
            # The one takes the place of the other.
            changed = {"delay": None, "run_at": None, **changed}
        options = replace(self._options, **changed)
        check(options)
        copy = JobFunction.__new__(JobFunction)
        copy.__dict__.update(self.__dict__)
        copy._options = options
        return copy

    def __repr__(self) -> str:
        return f"<JobFunction {self.type!r} ({self.runner})>"


def _on_conflict(word: str) -> OnConflict:
    try:
        return OnConflict(word)
    except ValueError as error:
        allowed = ", ".join(OnConflict)
        raise InvalidOptions(f"on_conflict must be one of {allowed}, not {word!r}", "on_conflict") from error


def _runner(function: Callable[..., Any], runner: Runner | None, name: str) -> Runner:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(f"job {name!r}: a generator has no single result; return one")
    is_async = inspect.iscoroutinefunction(function)
    chosen: Runner = runner or ("async" if is_async else "thread")
    if chosen not in ("async", "thread", "process"):
        raise RegistrationError(f"job {name!r}: runner must be async, thread or process, not {runner!r}")
    if chosen == "async" and not is_async:
        raise RegistrationError(f"job {name!r}: runner='async' needs an async def; a plain def runs in a thread")
    if chosen == "thread" and is_async:
        raise RegistrationError(f"job {name!r}: an async def runs on the worker's loop (async) or in a process")
    return chosen


def make_defaults(
    function: Callable[..., Any],
    name: str | None,
    queue: str,
    max_attempts: int,
    max_crashes: int,
    timeout: float | None,
) -> Defaults:
    """Checks what the decorator was given.

    Raises:
        RegistrationError: one of them has a value that cannot be.
    """
    named = name or str(getattr(function, "__name__", ""))
    defaults = Defaults(type=named, queue=queue, max_attempts=max_attempts, max_crashes=max_crashes, timeout=timeout)
    try:
        check_name("name", named)
        check(Options(queue=queue, max_attempts=max_attempts, timeout=timeout))
    except InvalidOptions as error:
        raise RegistrationError(f"job {named!r}: {error}") from error
    if type(max_crashes) is not int or max_crashes not in ATTEMPTS:
        raise RegistrationError(f"job {named!r}: max_crashes must be from 1 to 1000, not {max_crashes!r}")
    return defaults
