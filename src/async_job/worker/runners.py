"""Where functions run: on the worker's loop, in a thread, or in a child process.

Each runner gives the result as JSON text, or raises what the function raised. A runner that can stop a function
sets ``active.on_stop``; one that cannot leaves it to the function to look at ``ctx.cancelled``.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from async_job.context import Context
from async_job.function import JobFunction
from async_job.worker.active import ActiveRun
from async_job.worker.board import Board
from async_job.worker.children import Children

AnyFunction = JobFunction[..., Any, Any]


class Runners:
    """The three of them, for one worker process. Without ``children`` (a worker inside an application that wants no
    processes) what should run in a process of its own runs in a thread. ``board`` shows what runs in this process."""

    def __init__(
        self, concurrency: int, max_result: int, children: Children | None, board: Board | None = None
    ) -> None:
        self._max_result = max_result
        self._children = children
        self._board = board or Board(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="async-job")

    async def run(self, function: AnyFunction, active: ActiveRun) -> bytes:
        """The result of the function, as JSON text.

        Raises:
            OutdatedInput: the stored input no longer fits the function.
            InvalidResult: what it returned is no result.
            ChildRaised, ChildDied: the same and worse, told by a child process.
        """
        if self._children is not None and (active.job.suspect or function.runner == "process"):
            return await self._run_in_child(self._children, active)
        cell = self._board.enter(active.job.id)
        try:
            return await self._run_here(function, active)
        finally:
            self._board.leave(cell)

    async def _run_here(self, function: AnyFunction, active: ActiveRun) -> bytes:
        context = Context(active.job.id, active.job.attempt, active)
        args, kwargs = function.input.arguments(active.job.input, context)
        if function.runner == "async":
            active.on_stop = _canceller(asyncio.current_task())
            value = await function.function(*args, **kwargs)
        else:
            value = await self._run_in_thread(function, args, kwargs)
        return function.result.encode(value, self._max_result)

    async def _run_in_thread(self, function: AnyFunction, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Nothing ends a thread from outside, so nothing is done to stop it."""
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        if function.runner == "process" and asyncio.iscoroutinefunction(function.function):
            return await loop.run_in_executor(
                self._threads, lambda: run(asyncio.run, function.function(*args, **kwargs))
            )
        return await loop.run_in_executor(self._threads, lambda: run(_call, function, args, kwargs))

    async def _run_in_child(self, children: Children, active: ActiveRun) -> bytes:
        active.on_stop = _canceller(asyncio.current_task())
        return await children.run(active, fresh=active.job.suspect)

    async def close(self) -> None:
        """Ends the children; threads that still run are left to the end of the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._children is not None:
            await self._children.close()


def _call(function: AnyFunction, args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return function.function(*args, **kwargs)
    except StopIteration as error:
        # No future can carry it to the loop, where it would be waited for without end.
        raise RuntimeError("the function raised StopIteration") from error


def _canceller(task: asyncio.Task[Any] | None) -> Any:
    return task.cancel if task is not None else None
