"""The main program of a child process that runs one job after the other: ``python -m async_job.worker.child``.

It imports the application once and stays warm. A plain function runs in its main thread, a coroutine on an event loop
of its own that lives as long as the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import io
import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from async_job import logs
from async_job.clock import SystemClock
from async_job.context import Context
from async_job.core.job import ErrorInfo, ErrorKind
from async_job.errors import InvalidResult, OutdatedInput, UsageError
from async_job.function import JobFunction
from async_job.jobs import Jobs
from async_job.loading import load_jobs
from async_job.worker.active import ActiveRun
from async_job.worker.channel import Channel
from async_job.worker.failure import LONGEST_MESSAGE, describe, shorten
from async_job.worker.frames import End, NotReady, Raised, Ready, Returned
from async_job.worker.launch import EX_CONFIG, receive_launch
from async_job.worker.parent import ask_for_death_signal


def main() -> int:
    """Runs jobs until the worker closes the channel."""
    launch = receive_launch()
    ask_for_death_signal()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a job prints is seen when it is printed, and not lost when its process is killed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    logs.configure(launch.settings)
    channel = Channel(launch.channel_fd)
    try:
        jobs = load_jobs(launch.target)
        jobs.configure(settings=launch.settings)
        cancellable = frozenset(type for type, function in jobs.functions.items() if _is_async(function))
    except UsageError as error:
        channel.send(NotReady(str(error)))
        return EX_CONFIG
    channel.listen()
    channel.send(Ready(cancellable))
    with asyncio.Runner() as runner, _own_store(jobs):
        while (active := channel.next()) is not None:
            channel.finish(_run(jobs, runner, active))
    return 0


def _own_store(jobs: Jobs) -> AbstractContextManager[None]:
    """Whatever is in memory is the worker's: jobs that are submitted here would be lost, so they are refused."""
    if jobs.settings.store.startswith("memory:"):
        # Here, because the other processes start without it.
        from async_job.store.memory.store import MemoryStore

        return jobs.using(MemoryStore(owner=os.getppid()))
    return nullcontext()


def _is_async(function: JobFunction[..., Any, Any]) -> bool:
    return inspect.iscoroutinefunction(function.function)


def _run(jobs: Jobs, runner: asyncio.Runner, active: ActiveRun) -> End:
    """How the job ended. Whatever the function does, short of ending the process, is an answer."""
    try:
        function = jobs.function(active.job.type)
        context = Context(active.job.id, active.job.attempt, active)
        args, kwargs = function.input.arguments(active.job.input, context)
    except OutdatedInput as error:
        return _invalid(ErrorKind.INVALID_INPUT, str(error))
    try:
        value = _call(function, runner, active, args, kwargs)
    except BaseException as error:  # noqa: BLE001 - a SystemExit of one job must not end the process of the next
        return Raised(describe(error, SystemClock().now()))
    try:
        return Returned(function.result.encode(value, jobs.settings.max_result))
    except InvalidResult as error:
        return _invalid(ErrorKind.INVALID_RESULT, str(error))


def _call(
    function: JobFunction[..., Any, Any],
    runner: asyncio.Runner,
    active: ActiveRun,
    args: list[Any],
    kwargs: dict[str, Any],
) -> Any:
    """Each job gets context variables of its own, as in a worker."""
    variables = contextvars.copy_context()
    if _is_async(function):
        return runner.run(_await(function, active, args, kwargs), context=variables)
    return variables.run(function.function, *args, **kwargs)


async def _await(
    function: JobFunction[..., Any, Any], active: ActiveRun, args: list[Any], kwargs: dict[str, Any]
) -> Any:
    """Runs a coroutine in a task that the channel's thread can cancel."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    active.on_stop = cancel
    if active.cancelled:
        raise asyncio.CancelledError
    return await function.function(*args, **kwargs)


def _invalid(kind: ErrorKind, message: str) -> Raised:
    return Raised(ErrorInfo(kind=kind, message=shorten(message, LONGEST_MESSAGE), at=SystemClock().now()))


if __name__ == "__main__":
    sys.exit(main())
