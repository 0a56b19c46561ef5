"""A child process ends with its parent, also when that is killed.

The kernel is asked to kill it (Linux); besides, it reads from a pipe whose other end only the parent holds, which also
covers a parent that was gone before the kernel was asked.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
EX_ORPHANED: Final = 71


def end_with_parent(life_fd: int) -> None:
    """Ends this process at once when the end of the pipe ``life_fd`` is reached. Call it first thing.

    The kernel takes the *thread* that started this process for the parent, so that one has to live as long.
    """
    ask_for_death_signal()
    thread = threading.Thread(target=_end_at_end_of_file, args=(life_fd,), name="async-job-parent", daemon=True)
    thread.start()


def ask_for_death_signal() -> None:
    """Asks the kernel for a SIGKILL when the parent dies. Alone it is not enough: the parent may be dead already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), "prctl(PR_SET_PDEATHSIG)")


def _end_at_end_of_file(fd: int) -> None:
    while os.read(fd, 64):
        # Nobody writes to it; whatever comes, only its end has a meaning.
        continue
    os._exit(EX_ORPHANED)
