"""The jobs of `support.ledger`, and some that end the process they run in, hold it up, or do not end at all.

Whatever dies by itself writes that down before, as the faults that tests do to processes are.
"""

import asyncio
import ctypes
import os
import signal
import time

from async_job import Context
from support.ledger import jobs, note, write

__all__ = ["jobs"]


def _write_fault(kind: str) -> None:
    note(os.environ["LEDGER"], "fault", kind, pid=os.getpid())


@jobs.job
async def kill_itself(context: Context, seconds: float) -> None:
    write(context, "start")
    _write_fault("SIGKILL")
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.job
async def segfault(context: Context, seconds: float) -> None:
    write(context, "start")
    _write_fault("SIGSEGV")
    ctypes.string_at(0)


@jobs.job
async def take_memory(context: Context, seconds: float) -> int:
    """Twice what a worker may have."""
    write(context, "start")
    _write_fault("memory")
    taken = b"x" * (2 * jobs.settings.worker_memory_limit)
    await asyncio.sleep(seconds)
    return len(taken)


@jobs.job
async def block_the_loop(context: Context, seconds: float) -> int:
    write(context, "start")
    time.sleep(seconds)  # noqa: ASYNC251 - that is the fault
    write(context, "end")
    return context.attempt


@jobs.job
async def hold_the_interpreter(context: Context, seconds: float) -> int:
    """In a C call that does not let go of it."""
    write(context, "start")
    ctypes.PyDLL(None).usleep(round(seconds * 1_000_000))
    write(context, "end")
    return context.attempt


@jobs.job
async def padded(context: Context, seconds: float, padding: str) -> int:
    """Like `work`, with an input that takes room."""
    write(context, "start")
    await asyncio.sleep(seconds)
    write(context, "end")
    return context.attempt


@jobs.job
async def long_at_first(context: Context, seconds: float) -> int:
    """When it is run again it has less to do."""
    write(context, "start")
    await asyncio.sleep(seconds if context.attempt == 1 else 0.1)
    write(context, "end")
    return context.attempt


@jobs.job
def loop_in_thread(context: Context, seconds: float) -> None:
    """Never looks whether it is to stop."""
    write(context, "start")
    while True:
        time.sleep(0.01)


@jobs.job(runner="process")
def ignore_signals(context: Context, seconds: float) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write(context, "start")
    while True:
        time.sleep(0.01)
