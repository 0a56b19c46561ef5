"""How much memory a process takes, for whoever holds it to ``worker_memory_limit``."""

from __future__ import annotations

import os
from typing import Final

PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """The bytes of the process that are in memory now (RSS); 0 when it has ended.

    It is what the kernel itself counts when memory runs out, and reading it costs some 10 µs, so that it can be looked
    at ten times a second. PSS would not charge shared libraries to each process that uses them, but takes milliseconds
    to add up and a lock that the process itself needs. No resource limit stands behind it: ``RLIMIT_DATA`` raises a
    ``MemoryError`` in whoever asks next, which may be an innocent neighbour or this package.
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
