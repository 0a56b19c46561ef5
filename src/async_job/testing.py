"""For users' own tests: jobs without servers, processes or waiting.

In ``conftest.py``::

    from async_job.testing import job_tester
    from app import jobs

    tester = job_tester(jobs)

and in a test::

    def test_welcome(tester):
        sign_up("ada@example.org")
        tester.assert_submitted(send_mail, to="ada@example.org")
        tester.run_due_sync()
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from async_job.clock import ManualClock
from async_job.context import Context
from async_job.core.job import Job
from async_job.core.lifecycle import Event, decide
from async_job.function import JobFunction
from async_job.jobs import Jobs
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import ClaimId, Worker
from async_job.worker.active import ActiveRun
from async_job.worker.executor import Executor

if TYPE_CHECKING:
    from async_job.store.protocol import Stale

LEASE: Final = 10 * 365 * 86_400_000
MOST_RUNS: Final = 10_000
"""After so many runs in one call, jobs seem to submit each other without end."""

PATIENCE: Final = 0.05
"""Seconds after which a coroutine that has not ended is taken to wait for something that another job may bring."""

AnyFunction = JobFunction[..., Any, Any]


class JobTester:
    """A ``Jobs`` object on a memory store and a clock that moves only when told to, until the ``with`` block ends.

    The settings stay as they are, and so do the functions. Jobs run when ``run_due`` is called, one after the other and
    where it is called: whatever their runner, no thread and no process is started. Only a coroutine that waits for
    something, for a job that it has submitted, say, lets others run meanwhile.
    """

    def __init__(self, jobs: Jobs, now: int | None = None) -> None:
        self.clock = ManualClock() if now is None else ManualClock(now)
        self._jobs = jobs
        self._store = MemoryStore(self.clock)
        self._executor = Executor(jobs.functions, self._call, self._store.now)
        self._claims = 0
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        self._exits.enter_context(self._jobs.using(self._store))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exits.close()

    def advance(self, seconds: float) -> None:
        """Moves the clock on: what was to be retried or delayed that long is due."""
        self.clock.advance(seconds)

    async def run_due(self) -> list[Job]:
        """Runs everything that is due now, in order, with what that submits in turn; retries and delayed jobs wait for
        ``advance``. Gives the jobs that came to an end, in that order.

        Raises:
            AssertionError: there is no end to it.
        """
        worker = Worker(id="tester", host="", pid=0, started_at=0, queues=(), concurrency=1)
        await self._store.enroll(worker, LEASE)
        ended: list[Job] = []
        async with asyncio.TaskGroup() as runs:
            running: set[asyncio.Task[None]] = set()
            for _ in range(MOST_RUNS):
                job = await self._claim(worker.id)
                while job is None and running:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    running = {run for run in running if not run.done()}
                    job = await self._claim(worker.id)
                if job is None:
                    return ended
                running.add(runs.create_task(self._run(job, ended)))
                await asyncio.wait(running, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
                running = {run for run in running if not run.done()}
        raise AssertionError(f"{MOST_RUNS} jobs have run and more are due: do they submit each other without end?")

    def run_due_sync(self) -> list[Job]:
        """As ``run_due``, for tests without an event loop; the jobs run in the test's own thread."""
        return asyncio.run(self.run_due())

    async def _claim(self, worker: str) -> Job | None:
        """The next job that is due, in any queue."""
        queues = sorted({job.queue for job in self._all()})
        self._claims += 1
        claimed = await self._store.claim(ClaimId(worker, self._claims), queues, 1)
        return claimed.jobs[0] if claimed.jobs else None

    async def _run(self, job: Job, ended: list[Job]) -> None:
        active = ActiveRun(job, self._store.now)
        active.start_clock()
        outcome = await self._executor.run(active)
        active.stop_clock()
        after = None if outcome is None else await self._apply(job, outcome)
        if after is not None and after.done:
            ended.append(after)

    async def _call(self, function: AnyFunction, active: ActiveRun) -> bytes:
        """Runs the function here and now, whatever its runner."""
        context = Context(active.job.id, active.job.attempt, active)
        args, kwargs = function.input.arguments(active.job.input, context)
        if inspect.iscoroutinefunction(function.function):
            value = await function.function(*args, **kwargs)
        else:
            with _no_loop():
                value = function.function(*args, **kwargs)
        return function.result.encode(value, self._jobs.settings.max_result)

    async def _apply(self, job: Job, event: Event) -> Job | None:
        change = decide(job, event, self._store.now(), self._jobs.retention)
        if change is None:
            return job
        [answer] = await self._store.apply([change])
        if isinstance(answer, Job):
            return answer
        return await self._decide_anew(answer, event)

    async def _decide_anew(self, stale: Stale, event: Event) -> Job | None:
        """The job changed while it ran: somebody has asked for a cancel, say."""
        return None if stale.job is None else await self._apply(stale.job, event)

    def submitted(self, function: AnyFunction | str | None = None) -> list[Job]:
        """All jobs that were submitted (of one function, or of a type), oldest first, as they are now."""
        type = function.type if isinstance(function, JobFunction) else function
        return [job for job in self._all() if type is None or job.type == type]

    def assert_submitted(self, function: AnyFunction | str, /, **expected: Any) -> Job:
        """The first job of the function whose input has these values among its own.

        Raises:
            AssertionError: there is none; the message shows what was submitted instead.
        """
        wanted = msgspec.to_builtins(expected, str_keys=True, enc_hook=_to_builtins)
        for job in self.submitted(function):
            given = msgspec.json.decode(job.input)
            if all(name in given and given[name] == value for name, value in wanted.items()):
                return job
        type = function.type if isinstance(function, JobFunction) else function
        raise AssertionError(f"no job {_call(type, wanted)} was submitted\n{self._instead()}")

    def assert_not_submitted(self, function: AnyFunction | str) -> None:
        """Raises ``AssertionError`` if there is a job of the function."""
        if self.submitted(function):
            raise AssertionError(f"a job was submitted that should not be\n{self._instead()}")

    def _instead(self) -> str:
        lines = [f"  {_call(job.type, msgspec.json.decode(job.input))}  {job.state}" for job in self._all()]
        return "submitted were:\n" + "\n".join(lines) if lines else "nothing was submitted"

    def _all(self) -> list[Job]:
        return sorted(self._store.jobs(), key=lambda job: job.id)


def job_tester(jobs: Jobs) -> Callable[[], Iterator[JobTester]]:
    """A pytest fixture that gives a ``JobTester`` for these jobs; assign it to the name that your tests use."""
    import pytest  # here, so that this module can be used without it

    @pytest.fixture
    def tester() -> Iterator[JobTester]:
        with JobTester(jobs) as made:
            yield made

    fixture: Callable[[], Iterator[JobTester]] = tester
    return fixture


@contextmanager
def _no_loop() -> Iterator[None]:
    """Outside of tests a plain function runs in a thread that has no event loop, and may call ``submit_sync``; here it
    runs in the thread of the loop, so the loop is hidden from it."""
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


def _call(type: str, given: dict[str, Any]) -> str:
    return f"{type}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _to_builtins(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__qualname__} objects have no JSON form")
