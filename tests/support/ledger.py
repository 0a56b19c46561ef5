"""An application whose jobs write down that they start and end, in a file outside the store.

    python -m support.supervised … support.ledger:jobs      with LEDGER=/path/of/the/file

One line is one write to a file opened for appending, so that lines of several processes do not mix. Clients and tests
write to the same file what they sent, what was acknowledged, and which processes they harmed: see `support.checker`.
"""

import asyncio
import gc
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from async_job import Context, Jobs

if os.environ.get("PLANTED"):
    from support import planted

    planted.plant()

jobs = Jobs()

EVERYTHING = 0
"""In the place of a pid: all processes."""


def note(book: str | Path, what: str, id: str, attempt: int = 0, pid: int | None = None) -> None:
    """Adds a line to the file."""
    line = f"{what} {id} {attempt} {os.getpid() if pid is None else pid} {time.monotonic():.6f}\n"
    file = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def write(context: Context, what: str) -> None:
    note(os.environ["LEDGER"], what, context.job_id, context.attempt)


@jobs.job
async def work(context: Context, seconds: float) -> int:
    """Takes its time, and stops when asked to."""
    write(context, "start")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        write(context, "stopped")
        raise
    write(context, "end")
    return context.attempt


@jobs.job
async def collected() -> tuple[int, int]:
    """How many objects the garbage collector passes over, and how many it looks at."""
    return gc.get_freeze_count(), len(gc.get_objects())


@jobs.job
async def fail(context: Context, seconds: float) -> int:
    """Raises each time, after a while."""
    write(context, "start")
    await asyncio.sleep(seconds)
    raise ValueError(f"attempt {context.attempt} fails")


@jobs.job
async def talk(context: Context, seconds: float) -> int:
    """Says all the while in its log which attempt it is."""
    write(context, "start")
    try:
        for _ in range(round(seconds / 0.05)):
            context.log("%s", context.attempt)
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        write(context, "stopped")
        raise
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


@jobs.job
async def die_at_first(context: Context, seconds: float) -> int:
    """Ends its own process, the first time."""
    write(context, "start")
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(seconds)
    write(context, "end")
    return context.attempt


@jobs.job
async def endless_at_first(context: Context, seconds: float) -> int:
    """Does not come to an end the first time."""
    write(context, "start")
    await asyncio.sleep(3600 if context.attempt == 1 else seconds)
    write(context, "end")
    return context.attempt


class Line(NamedTuple):
    what: str
    id: str
    attempt: int
    pid: int
    at: float


def read(file: Path) -> list[Line]:
    """What was written so far."""
    return Book(file).lines


class Book:
    """The file as it grows: each look reads only what is new."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read = 0
        self._lines: list[Line] = []

    @property
    def lines(self) -> list[Line]:
        if self.file.exists():
            with self.file.open("rb") as file:
                file.seek(self._read)
                # The last line may be half there.
                new, end, _ = file.read().rpartition(b"\n")
            self._read += len(new) + len(end)
            for line in new.decode().splitlines():
                what, id, attempt, pid, at = line.split()
                self._lines.append(Line(what, id, int(attempt), int(pid), float(at)))
        return self._lines


def counted(lines: list[Line], what: str) -> Counter[str]:
    """How often each job did it."""
    return Counter(line.id for line in lines if line.what == what)
