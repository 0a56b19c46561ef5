"""Lets the processes that write to one file go through one after another, in the order of their arrival.

SQLite's own way of waiting is to try again after a while, and so a process that writes often starves one that writes
seldom. Here each waits in the kernel, on two locked files: the first is the queue, the second is the turn. Whoever
ends a turn has to queue behind those that already wait.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    def __init__(self, path: Path) -> None:
        self._queue = os.open(f"{path}-queue", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._turn = os.open(f"{path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._open = True
        # A forked child shares the locks: it would keep a turn that its parent was killed in.
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _close(itself()))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for this process's turn, and ends it at the end of the block."""
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._queue, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Lets go of the files; they stay, because another process may be waiting on them."""
        if self._open:
            self._open = False
            os.close(self._queue)
            os.close(self._turn)


def _close(turnstile: Turnstile | None) -> None:
    if turnstile is not None:
        turnstile.close()
