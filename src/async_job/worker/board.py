"""Which jobs run in a worker process right now, in memory that its supervisor can read when it has died."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from typing import Final

CELL: Final = 64
"""Bytes for each run: the beginning of the job's id, and zeros."""


def key(id: str) -> bytes:
    """What a cell holds for a job. Ids that begin alike look alike."""
    return _cell(id).rstrip(b"\0")


def _cell(id: str) -> bytes:
    return id.encode(errors="surrogatepass")[:CELL].ljust(CELL, b"\0")


def create(cells: int) -> int:
    """An open file without a name for so many runs at a time; its number.

    Raises:
        OSError: the system gives none.
    """
    fd = _unnamed_file()
    try:
        os.truncate(fd, cells * CELL)
    except OSError:
        os.close(fd)
        raise
    return fd


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        # Some sandboxes have it and refuse it.
        with suppress(OSError):
            return os.memfd_create("async-job")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read(fd: int) -> frozenset[bytes]:
    """The keys of the jobs that run, or ran when the process died."""
    cells = os.pread(fd, os.fstat(fd).st_size, 0)
    return frozenset(cells[at : at + CELL].rstrip(b"\0") for at in range(0, len(cells), CELL) if cells[at])


class Board:
    """The worker's end of it. ``fd``: the file; without one nobody else reads it."""

    def __init__(self, cells: int, fd: int = -1) -> None:
        self._memory = mmap.mmap(fd, cells * CELL)
        self._free = list(range(0, cells * CELL, CELL))

    def enter(self, id: str) -> int:
        """A job begins to run; its cell."""
        cell = self._free.pop()
        self._memory[cell : cell + CELL] = _cell(id)
        return cell

    def leave(self, cell: int) -> None:
        """The one in this cell has ended."""
        self._memory[cell] = 0
        self._free.append(cell)
