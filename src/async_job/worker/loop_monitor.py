"""Says which code holds up the event loop: everything else in its process waits meanwhile."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from typing import IO, Final, Self

from async_job.logs import get_logger

EVERY: Final = 0.25
"""Seconds between two looks, at most."""
DEEPEST: Final = 50
"""Frames shown of the stack: the innermost ones."""

log = get_logger()


class LoopMonitor:
    """``with LoopMonitor(after):`` on the loop: a timer notes that it turns, and a thread that looks at the note logs
    the Python stack of the loop's thread when it is ``after`` seconds old, and later how long it was in all. 0: never.

    A C call that does not let go of the interpreter stops that thread, too. It finds out afterwards, when the call is
    mostly off the stack; so in a process of our own (``own_process``) it has ``faulthandler`` write the stack down if
    the thread itself does not come back in time. There is one such alarm a process, so others' processes go without.
    """

    def __init__(self, after: float, *, own_process: bool = False) -> None:
        self._after = after
        self._every = min(EVERY, after / 4)
        self._own_process = own_process
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._turned_at = time.monotonic()
        self._blocked = 0.0
        """The last time that it did not turn for long, in seconds; it is over. The thread sets it back."""
        self._timer: asyncio.TimerHandle | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="async-job-loop-monitor", daemon=True)

    def __enter__(self) -> Self:
        if self._after:
            self._note()
            self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()

    def _note(self) -> None:
        now = time.monotonic()
        if now - self._turned_at >= self._after:
            self._blocked = now - self._turned_at
        self._turned_at = now
        self._timer = self._loop.call_later(self._every, self._note)

    def _watch(self) -> None:
        with self._alarm() as alarm:
            turned_at = self._turned_at
            while not self._wait(alarm):
                now = time.monotonic()
                stack = self._written(alarm)
                if not stack:
                    turned_at = self._turned_at
                    if now - turned_at - self._every >= self._after:
                        stack = self._stack()
                if stack:
                    seconds = round(now - turned_at, 2)
                    log.warning("the event loop is blocked, and all here waits for it", seconds=seconds, stack=stack)
                    self._wait_for_a_turn(alarm)
                    # Whatever the alarm wrote meanwhile is of the same time.
                    self._written(alarm)
            if self._own_process:
                faulthandler.cancel_dump_traceback_later()

    def _alarm(self) -> IO[bytes]:
        """What the alarm writes to: a file that needs no disk, where there is such a thing."""
        if not self._own_process:
            return io.BytesIO()
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("async-job-loop-monitor"), "w+b")
        return tempfile.TemporaryFile()

    def _wait(self, alarm: IO[bytes]) -> bool:
        """Until the next look; true when there is to be none."""
        if self._own_process:
            faulthandler.dump_traceback_later(self._every + self._after, file=alarm)
        return self._ended.wait(self._every)

    def _written(self, alarm: IO[bytes]) -> str:
        """What the alarm has written of the loop's thread, if it went off."""
        alarm.seek(0)
        text = alarm.read().decode(errors="replace")
        if text:
            alarm.seek(0)
            alarm.truncate()
        found = re.search(rf"^(?:Current t|T)hread 0x0*{self._loop_thread:x}\b.*\n((?: .*\n)+)", text, re.MULTILINE)
        return found[1] if found else text

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage] - it is documented
        return "".join(traceback.format_stack(frame, DEEPEST)) if frame is not None else "its thread has ended"

    def _wait_for_a_turn(self, alarm: IO[bytes]) -> None:
        seen = self._turned_at
        while not self._blocked and self._turned_at == seen and not self._wait(alarm):
            continue
        if self._blocked:
            log.warning("the event loop turns again", blocked_seconds=round(self._blocked, 2))
            self._blocked = 0.0
