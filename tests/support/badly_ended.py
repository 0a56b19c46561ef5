"""The jobs of `support.ledger`, and some that end badly in odd ways, each in all three runners.

The type is the way and the runner, as in `broken_str_thread`; the input says how many megabytes what is large has.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from async_job import Context
from async_job.function import Runner
from support.ledger import jobs, write

__all__ = ["INVALID_RESULT", "RUNNERS", "WAYS", "jobs"]

RUNNERS: tuple[Runner, ...] = ("async", "thread", "process")


class BrokenInit(Exception):
    """Cannot be made again from its arguments, as by a pickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


class BrokenStr(Exception):
    def __str__(self) -> str:
        raise ValueError("not to be shown")


class FatalStr(BrokenStr):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class BrokenModule(Exception):
    __module__ = BrokenStr()  # type: ignore[assignment]


class BrokenResult:
    def model_dump(self, **_: object) -> Any:
        raise FatalStr


def unserialisable(megabytes: int) -> Any:
    return object()


def cyclic(megabytes: int) -> Any:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def broken_result(megabytes: int) -> Any:
    return BrokenResult()


def large_result(megabytes: int) -> Any:
    return "x" * (megabytes << 20)


def broken_init(megabytes: int) -> Any:
    raise BrokenInit("first", "second")


def broken_str(megabytes: int) -> Any:
    raise BrokenStr


def fatal_str(megabytes: int) -> Any:
    raise FatalStr


def broken_module(megabytes: int) -> Any:
    raise BrokenModule


def large_message(megabytes: int) -> Any:
    raise ValueError("é" * (megabytes << 19))


def large_traceback(megabytes: int) -> Any:
    error = ValueError("see the notes")
    for _ in range(megabytes):
        error.add_note("x" * (1 << 20))
    raise error


def deep_traceback(megabytes: int) -> Any:
    """Until the stack is used up, and one exception because of the other."""
    try:
        return deep_traceback(megabytes)
    except RecursionError as error:
        raise ValueError("because") from error


def system_exit(megabytes: int) -> Any:
    raise SystemExit(3)


def keyboard_interrupt(megabytes: int) -> Any:
    raise KeyboardInterrupt


def stop_iteration(megabytes: int) -> Any:
    return next(iter([]))


def cancelled_error(megabytes: int) -> Any:
    raise asyncio.CancelledError


def half_a_character(megabytes: int) -> Any:
    raise ValueError("\udcff\x00")


INVALID_RESULT = (unserialisable, cyclic, broken_result, large_result)
WAYS = (
    *(*INVALID_RESULT, broken_init, broken_str, fatal_str, broken_module, large_message, large_traceback),
    *(deep_traceback, system_exit, keyboard_interrupt, stop_iteration, cancelled_error, half_a_character),
)


def _register(way: Callable[[int], Any], runner: Runner) -> None:
    async def run_async(context: Context, megabytes: int) -> Any:
        write(context, "start")
        return way(megabytes)

    def run(context: Context, megabytes: int) -> Any:
        write(context, "start")
        return way(megabytes)

    name = f"{way.__name__}_{runner}"
    jobs.job(name=name, runner=runner, max_attempts=1)(run_async if runner == "async" else run)


for _way in WAYS:
    for _runner in RUNNERS:
        _register(_way, _runner)
