"""What a user holds: registers functions, submits jobs and asks about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

import msgspec

from async_job.blocking import Blocking
from async_job.clock import Clock
from async_job.connections import Connections
from async_job.context import Context
from async_job.core.job import Job
from async_job.core.lifecycle import CancelRequested, Event, Retention, RetryRequested, decide
from async_job.core.query import Query, as_query, check_limit
from async_job.core.submission import NO_OPTIONS, Options, as_options
from async_job.demo import make_demo
from async_job.errors import (
    AsyncJobError,
    InvalidInput,
    JobNotFound,
    NotFinished,
    RegistrationError,
    StoreUnavailable,
    UniqueKeyHeld,
    UnknownType,
)
from async_job.finding import Page, find
from async_job.function import JobFunction, Runner, make_defaults
from async_job.handle import Handle
from async_job.outcome import not_within, result_of
from async_job.settings import Settings
from async_job.settings_sources import Loaded, load
from async_job.store.open import make_store
from async_job.store.protocol import IdempotencyKey, Store
from async_job.submitting import Request, same_again, submit_all
from async_job.watch import Wanted, Watcher

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 5
"""How often a change is decided anew when the job moved between the reading and the writing."""


class Decorator(Protocol):
    """What ``@jobs.job(…)`` is: it takes a function and gives the registered one, of the same type."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], Awaitable[R]]
    ) -> JobFunction[P, R, Awaitable[R]]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]]) -> JobFunction[P, R, Awaitable[R]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R]) -> JobFunction[P, R, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> JobFunction[P, R, R]: ...


class Jobs:
    """Registered functions and the store that their jobs are kept in.

    >>> jobs = Jobs()
    >>> @jobs.job
    ... async def add(a: int, b: int) -> int:
    ...     return a + b

    Settings may be given as arguments, and are the weakest source: ``Jobs(store="redis://…")`` is overruled by
    ``ASYNC_JOB_STORE``. A store is opened when it is first needed, once an event loop; ``async with jobs:`` or
    ``await jobs.close()`` closes what the running loop has opened.
    """

    def __init__(self, *, clock: Clock | None = None, **settings: object) -> None:
        self._arguments = settings
        self._clock = clock
        self._loaded: Loaded | None = None
        self._functions: dict[str, JobFunction[..., Any, Any]] = {}
        self._default: str | None = None
        self._shared: Store | None = None
        self._connections = Connections(self._make_store)
        self.blocking = Blocking(self.close)

    @property
    def settings(self) -> Settings:
        """The settings in force, read when first asked for."""
        return (self._loaded or self.loaded).settings

    @property
    def loaded(self) -> Loaded:
        """The settings in force, and where each comes from."""
        if self._loaded is None:
            self._loaded = load(arguments=self._arguments)
        return self._loaded

    def configure(self, flags: Mapping[str, object] | None = None, settings: Settings | None = None) -> None:
        """Sets what stands above all other sources: a program's flags, or settings that were read elsewhere.

        Raises:
            SettingsError: one of them is wrong.
        """
        if settings is not None:
            self._loaded = Loaded(settings=settings, origins={})
        else:
            self._loaded = load(arguments=self._arguments, flags=flags or {})

    @property
    def retention(self) -> Retention:
        """How long finished jobs are kept, as the policy takes it."""
        return self.settings.retention

    @property
    def functions(self) -> Mapping[str, JobFunction[..., Any, Any]]:
        """The registered functions by type. Until one is registered with ``default=True``, ``demo`` is among them."""
        if self._default is None and "demo" not in self._functions:
            self._add(make_demo(self.settings.demo_seconds), "demo")
        return MappingProxyType(self._functions)

    @property
    def default(self) -> JobFunction[..., Any, Any]:
        """What ``POST /start-job`` starts."""
        return self.functions[self._default or "demo"]

    @overload
    def job(self, function: Callable[Concatenate[Context, P], Awaitable[R]], /) -> JobFunction[P, R, Awaitable[R]]: ...
    @overload
    def job(self, function: Callable[P, Awaitable[R]], /) -> JobFunction[P, R, Awaitable[R]]: ...
    @overload
    def job(self, function: Callable[Concatenate[Context, P], R], /) -> JobFunction[P, R, R]: ...
    @overload
    def job(self, function: Callable[P, R], /) -> JobFunction[P, R, R]: ...
    @overload
    def job(
        self,
        *,
        name: str | None = None,
        queue: str = "default",
        max_attempts: int = 3,
        max_crashes: int = 5,
        timeout: float | None = None,
        runner: Runner | None = None,
        default: bool = False,
    ) -> Decorator: ...
    def job(
        self,
        function: Any = None,
        *,
        name: str | None = None,
        queue: str = "default",
        max_attempts: int = 3,
        max_crashes: int = 5,
        timeout: float | None = None,
        runner: Runner | None = None,
        default: bool = False,
    ) -> Any:
        """Registers a function: ``@jobs.job`` or ``@jobs.job(…)``.

        Args:
            name: the type's name; the function's own by default.
            queue: where its jobs wait.
            max_attempts: how often a job may end by its own error or timeout.
            max_crashes: how often the process that runs it may die.
            timeout: seconds for each attempt; ``None``: no limit.
            runner: ``async`` for ``async def``, ``thread`` for ``def``, or ``process`` for CPU work.
            default: what ``POST /start-job`` starts, instead of the built-in demo.

        Raises:
            RegistrationError: it cannot be registered as it is written, or the name is taken.
        """

        def register(function: Callable[..., Any]) -> JobFunction[..., Any, Any]:
            made = self._add(function, name, queue, max_attempts, max_crashes, timeout, runner)
            if default:
                self._make_default(made)
            return made

        return register if function is None else register(function)

    def _add(
        self,
        function: Callable[..., Any],
        name: str | None,
        queue: str = "default",
        max_attempts: int = 3,
        max_crashes: int = 5,
        timeout: float | None = None,
        runner: Runner | None = None,
    ) -> JobFunction[..., Any, Any]:
        defaults = make_defaults(function, name, queue, max_attempts, max_crashes, timeout)
        made: JobFunction[..., Any, Any] = JobFunction(self, function, defaults, runner)
        if made.type in self._functions:
            raise RegistrationError(f"job {made.type!r} is registered already; give one of them another name=")
        self._functions[made.type] = made
        return made

    def _make_default(self, made: JobFunction[..., Any, Any]) -> None:
        if self._default is not None:
            raise RegistrationError(f"job {made.type!r}: {self._default!r} is the default already")
        self._default = made.type

    def function(self, type: str) -> JobFunction[..., Any, Any]:
        """The function registered under ``type``. Raises ``UnknownType``."""
        found = self.functions.get(type)
        if found is None:
            raise UnknownType(type, tuple(sorted(self.functions)))
        return found

    async def submit(
        self, function: JobFunction[..., Any, Any] | str, input: bytes, options: Options = NO_OPTIONS
    ) -> Handle[Any]:
        """Stores a job for ``function`` with ``input``, JSON text that was checked already for a function, and is
        checked here for a type's name. See ``JobFunction.submit`` for what it raises."""
        opened = await self._connections.of_running_loop()
        [answer] = await submit_all(opened.store, [self.request(function, input, options)], self.settings)
        if isinstance(answer, AsyncJobError):
            raise answer
        return Handle(self, answer)

    def request(
        self,
        function: JobFunction[..., R, Any] | str,
        input: bytes,
        options: Options = NO_OPTIONS,
        *,
        owner: str | None = None,
        key: IdempotencyKey | None = None,
    ) -> Request[Any]:
        """A job to be submitted with others. See ``submit`` for the arguments and ``Request`` for the others.

        Raises:
            UnknownType: no function is registered under the name.
            InvalidInput: the input does not fit the function of that name, or is too large.
            InvalidOptions: the options are none.
        """
        if isinstance(function, str):
            function = self.function(function)
            function.input.decode(input)
        if len(input) > self.settings.max_input:
            raise InvalidInput(f"it has {len(input)} bytes; at most {self.settings.max_input} are stored (max_input)")
        return Request(function=function, input=input, options=as_options(options), owner=owner, key=key)

    async def submit_many(self, requests: Sequence[Request[R]]) -> list[Handle[R] | AsyncJobError]:
        """Stores a job for each request, all in one step; one answer each, in order. A request that cannot be taken
        is answered by the error that ``submit`` would raise, and does not hold up the others."""
        answers = await submit_all(await self.store(), requests, self.settings)
        return [answer if isinstance(answer, AsyncJobError) else Handle(self, answer) for answer in answers]

    async def get(self, id: str) -> Job:
        """The job as it is now. Raises ``JobNotFound``."""
        store = await self.store()
        [job] = await store.get([id])
        if job is None:
            raise JobNotFound(id)
        return job

    async def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job when it has ended. Raises ``WaitTimeout`` after ``timeout`` seconds, and ``JobNotFound``."""
        job = await self.watch(id, None, timeout)
        if not job.done:
            raise not_within(job, timeout)
        return job

    async def watch(self, id: str, wanted: Wanted, timeout: float | None) -> Job:
        """The job as soon as ``wanted(job)`` holds (``None``: it has ended), or as it is after ``timeout`` seconds.
        Raises ``JobNotFound``."""
        job = await (await self.watcher()).wait(id, wanted, timeout)
        if job is None:
            raise JobNotFound(id)
        return job

    async def watcher(self) -> Watcher:
        """The running loop's reader of the change log."""
        return (await self._connections.of_running_loop()).watcher

    async def result(self, id: str, timeout: float | None = None) -> Any:
        """The job's result when it has ended; see ``Handle.result`` for what it raises."""
        job = await self.wait(id, timeout)
        found = self.functions.get(job.type)
        return result_of(job, found.result.decode if found else msgspec.json.decode)

    async def cancel(self, id: str) -> Job:
        """Asks for a cancel; see ``Handle.cancel``. Raises ``AlreadyFinished`` and ``JobNotFound``."""
        return await self._decide(id, CancelRequested())

    async def retry(self, id: str) -> Job:
        """Runs a failed, cancelled or expired job again, under the same id.

        Raises:
            NotRetryable: it is live or has succeeded.
            UniqueKeyHeld: another live job has its unique key by now.
            JobNotFound: no such job.
        """
        return await self._decide(id, RetryRequested())

    async def delete(self, id: str) -> None:
        """Removes an ended job. Raises ``NotFinished`` and ``JobNotFound``."""
        store = await self.store()
        await self.get(id)
        [left] = await store.delete([id])
        if left is not None:
            raise NotFinished(f"job {id} is {left.state}; only ended jobs can be deleted, so cancel it first", left)

    async def rerun(self, id: str, *, owner: str | None = None, key: IdempotencyKey | None = None) -> Handle[Any]:
        """A new job with the same input, queue, priority, labels, limits and webhook; without the unique key.

        Raises:
            JobNotFound: there is no such job.
            UnknownType, InvalidInput: its type is gone, or takes other input by now.
        """
        job = await self.get(id)
        again = self.request(job.type, job.input, same_again(job), owner=owner, key=key)
        [answer] = await self.submit_many([again])
        if isinstance(answer, AsyncJobError):
            raise answer
        return answer

    async def find(self, query: Query | None = None, *, cursor: str | None = None, limit: int = 50) -> Page:
        """A page of the jobs that are as asked for, newest first unless the query says otherwise.

        Args:
            cursor: where to go on, from the page before.
            limit: how many jobs, 1 to 200.

        Raises:
            InvalidOptions: the limit or the cursor cannot be.
        """
        check_limit(limit)
        return await find(await self.store(), as_query(query), cursor, limit)

    async def _decide(self, id: str, event: Event) -> Job:
        store = await self.store()
        job = await self.get(id)
        for _ in range(TRIES):
            change = decide(job, event, store.now(), self.retention)
            if change is None:
                return job
            [answer] = await store.apply([change])
            if isinstance(answer, Job):
                return answer
            if answer.job is None:
                raise JobNotFound(id)
            if change.is_seen_in(answer.job):
                return answer.job
            if answer.holder is not None:
                raise UniqueKeyHeld(f"job {answer.holder} is live and has the unique key", answer.job, answer.holder)
            job = answer.job
        raise StoreUnavailable(f"job {id} changed {TRIES} times while this was tried; try again")

    @contextmanager
    def using(self, store: Store) -> Iterator[None]:
        """Keeps the jobs in another store, one that can be shared by event loops, until the block ends. For tests."""
        before = self._shared, self._connections, self.blocking
        self._shared, self._connections, self.blocking = store, Connections(lambda: store), Blocking(self.close)
        try:
            yield
        finally:
            self.blocking.close()
            self._shared, self._connections, self.blocking = before

    async def store(self) -> Store:
        """The store, opened for the running event loop."""
        return (await self._connections.of_running_loop()).store

    def _make_store(self) -> Store:
        """A store of the running loop's own; only ``memory://`` is one for all loops of the process."""
        settings = self.settings
        if self._shared is not None:
            return self._shared
        store = make_store(
            settings.store,
            clock=self._clock,
            namespace=settings.namespace,
            allow_eviction=settings.allow_eviction,
            log_limits=settings.log_limits,
        )
        if settings.store.startswith("memory:"):
            self._shared = store
        return store

    async def close(self) -> None:
        """Closes what the running event loop has opened."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        await self.store()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
