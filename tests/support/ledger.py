"""An application whose jobs write down that they start and end, in a file outside the store.

    python -m support.supervised … support.ledger:jobs      with LEDGER=/path/of/the/file

One line is one write to a file opened for appending, so that lines of several processes do not mix.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from async_job import Context, Jobs

jobs = Jobs()


def write(context: Context, what: str) -> None:
    line = f"{what} {context.job_id} {context.attempt} {os.getpid()} {time.monotonic():.6f}\n"
    file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@jobs.job
async def work(context: Context, seconds: float) -> int:
    """Takes its time, and stops when asked to."""
    write(context, "start")
    await asyncio.sleep(seconds)
    write(context, "end")
    return context.attempt


@jobs.job
async def stubborn(context: Context, seconds: float) -> int:
    """Swallows its cancellation, as bad code does."""
    write(context, "start")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    write(context, "end")
    return context.attempt


@jobs.job
async def stop_everything(context: Context, seconds: float) -> int:
    """Stops its own process, the first time."""
    write(context, "start")
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    await asyncio.sleep(seconds)
    write(context, "end")
    return context.attempt


class Line(NamedTuple):
    what: str
    id: str
    attempt: int
    pid: int
    at: float


def read(file: Path) -> list[Line]:
    """What the jobs wrote so far."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [
        Line(what, id, int(attempt), int(pid), float(at))
        for what, id, attempt, pid, at in (line.split() for line in lines)
    ]


def counted(lines: list[Line], what: str) -> Counter[str]:
    """How often each job did it."""
    return Counter(line.id for line in lines if line.what == what)
