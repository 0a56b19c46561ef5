"""A run that is going on in this worker process: what it has said and not yet reported, and how to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import ClassVar, Final

from async_job.core.job import Job, LogLine, Progress
from async_job.store.codec import USUAL_LIMITS, log_bytes
from async_job.store.protocol import Beat

LONGEST_LINE: Final = 10_000
LINES_WAITING: Final = USUAL_LIMITS.lines - 1
"""Of the lines that no beat has taken yet the newest are kept, so many at most; one more tells that others went."""
BYTES_WAITING: Final = USUAL_LIMITS.bytes - 100
"""Nor is more text kept of them than this, beside the line that tells."""
LOOKED_AFTER: Final = 256
"""The lines that wait are looked at each time that so many more have come: most runs say less between two beats."""
KILL_AFTER: Final = 5.0
"""Seconds after its timeout that a run has to end by itself, before its process is killed."""


class ActiveRun:
    """One claimed job from its claim to its end; the worker's end of the job's ``Context``.

    ``progress`` and ``log`` may be called from any thread: each is one assignment or one append,
    except for the lock when many lines wait.
    ``cancelled`` turns true when the run is to stop: ``cancel_asked`` if somebody asked for it, ``lost`` if the job
    is no longer this worker's, ``timed_out`` if its time is up, none of them when the worker shuts down.
    """

    __slots__ = (
        "_dropped",
        "_lines",
        "_now",
        "_progress",
        "_timer",
        "cancel_asked",
        "cancelled",
        "ended",
        "hard_deadline",
        "heeded",
        "job",
        "lost",
        "on_clock",
        "on_stop",
        "task",
        "timed_out",
    )

    _lock: ClassVar = Lock()
    """Held by whoever takes lines away; those who add some do not need it. One for all runs: it is held for a moment,
    and to make one is a call more for each run."""

    def __init__(self, job: Job, now: Callable[[], int]) -> None:
        self.job = job
        self.cancelled = False
        self.cancel_asked = False
        self.heeded = False
        """The function has seen that it is to stop."""
        self.ended = False
        """The function has ended; the outcome may not have reached the store yet."""
        self.lost = False
        self.timed_out = False
        self.on_stop: Callable[[], None] | None = None
        """Set by the runner: makes the function stop, as far as that can be done. Called on the worker's loop."""
        self.on_clock: Callable[[], None] | None = None
        """Called when ``hard_deadline`` has changed."""
        self.hard_deadline: float | None = None
        """When the whole process is killed unless the run has ended, on the loop's own clock."""
        self.task: asyncio.Task[None] | None = None
        self._now = now
        self._progress: Progress | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lines: list[LogLine] = []
        self._dropped = 0

    @property
    def token(self) -> str:
        return self.job.token or ""

    def start_clock(self) -> None:
        """From now on the job's time runs, if it is limited."""
        if self.job.timeout is None or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.job.timeout / 1000, self._time_out)
        self.hard_deadline = loop.time() + self.job.timeout / 1000 + KILL_AFTER
        if self.on_clock is not None:
            self.on_clock()

    def stop_clock(self) -> None:
        """The run has ended, or waits for something that is not its own doing."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = self.hard_deadline = None
        if self.on_clock is not None:
            self.on_clock()

    def _time_out(self) -> None:
        self.timed_out = True
        self.stop()

    def progress(self, progress: Progress) -> None:
        self._progress = progress

    def log(self, message: str) -> None:
        lines = self._lines
        lines.append(LogLine(self._now(), message[:LONGEST_LINE]))
        if not len(lines) % LOOKED_AFTER:
            with self._lock:
                self._trim()

    def _trim(self) -> None:
        """Of the waiting lines, lets the oldest go that are too many."""
        lines, left = self._lines, BYTES_WAITING
        first = len(lines)
        oldest = max(0, first - LINES_WAITING)
        while first > oldest and (left := left - log_bytes(lines[first - 1])) >= 0:
            first -= 1
        del lines[:first]
        self._dropped += first

    @property
    def has_news(self) -> bool:
        """Whether there is progress or a line that was not reported yet."""
        return self._progress is not None or bool(self._lines)

    def take(self) -> tuple[Progress | None, tuple[LogLine, ...]]:
        """What was said since the last time; it is now the caller's to report. A line of its own tells how many
        lines were dropped before the others."""
        progress, self._progress = self._progress, None
        if not self._lines:
            return progress, ()
        with self._lock:
            self._trim()
            # Another thread may be adding some meanwhile: they come behind these.
            lines = tuple(self._lines)
            del self._lines[: len(lines)]
            dropped, self._dropped = self._dropped, 0
        if dropped:
            told = f"[at least {dropped} lines were dropped here: too many at once]"
            lines = (LogLine(lines[0].at, told), *lines)
        return progress, lines

    def beat(self) -> Beat:
        return Beat(self.job.id, self.token, *self.take())

    def give_back(self, beat: Beat) -> None:
        """A beat that could not be sent: its words go with the next, unless newer progress was said since."""
        self._progress = self._progress or beat.progress
        with self._lock:
            self._lines[:0] = beat.log
            self._trim()

    def stop(self) -> None:
        """Asks the function to stop. Again: nothing happens."""
        if not self.cancelled:
            self.cancelled = True
            if self.on_stop is not None:
                self.on_stop()
