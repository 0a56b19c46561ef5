"""What the jobs of the performance benchmarks do. Standard library only: it is imported in the rivals' environments.

Each run leaves its time in memory that is shared with the harness: one file a thread in the folder TRACE, numbers of
eight bytes: how many ran, when the last one ended, and when each `EVERY`-th one did. It costs well under a microsecond.
"""

import asyncio
import hashlib
import mmap
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

EVERY = 50
SIZE = 8 * 8192
SLEEP = 0.1
HASHES = 1000

_own = threading.local()


def _trace() -> memoryview:
    """This thread's numbers; a process that was forked off gets new ones."""
    pid = os.getpid()
    if getattr(_own, "pid", None) != pid:
        path = Path(os.environ["TRACE"]) / f"{pid}-{threading.get_ident()}"
        with path.open("wb+") as file:
            file.truncate(SIZE)
            _own.numbers = memoryview(mmap.mmap(file.fileno(), SIZE)).cast("d")
        _own.pid = pid
    numbers: memoryview = _own.numbers
    return numbers


def ended() -> int:
    """Takes down that a job has run; the time, in nanoseconds."""
    numbers = _trace()
    count = int(numbers[0])
    now = time.monotonic_ns()
    numbers[1] = now / 1e9
    if count % EVERY == 0:
        numbers[2 + count // EVERY] = now / 1e9
    numbers[0] = count + 1
    return now


def noop() -> int:
    return ended()


def sleep() -> int:
    time.sleep(SLEEP)
    return ended()


def cpu() -> int:
    text = b"async-job"
    for _ in range(HASHES):
        text = hashlib.sha256(text).digest()
    return ended()


async def noop_async() -> int:
    return ended()


async def sleep_async() -> int:
    await asyncio.sleep(SLEEP)
    return ended()


async def cpu_async() -> int:
    return cpu()


SYNC: dict[str, Callable[[], int]] = {"noop": noop, "sleep": sleep, "cpu": cpu}
ASYNC: dict[str, Callable[[], Awaitable[int]]] = {"noop": noop_async, "sleep": sleep_async, "cpu": cpu_async}
