"""What a running job can say and ask: progress, log lines, and whether it is to stop."""

from __future__ import annotations

import logging
import math
from typing import Final, Protocol

from async_job.core.job import Progress

LONGEST_MESSAGE: Final = 1_000
"""Characters of a progress message that are kept."""


class Run(Protocol):
    """The worker's end of a context: where its words go."""

    cancelled: bool
    heeded: bool

    def progress(self, progress: Progress) -> None: ...

    def log(self, message: str) -> None: ...


class Context:
    """Given to a function that has a parameter annotated ``Context``.

    Its calls are plain and never wait, in all three runners: what is said goes out with the worker's next beat.
    """

    __slots__ = ("_run", "attempt", "job_id")

    def __init__(self, job_id: str, attempt: int, run: Run) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self._run = run

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Says how far the job is: ``current`` of ``total`` (``None``: not known), with a word to the reader.

        The last one said counts; it is stored at most four times a second. Numbers of other libraries become floats.
        """
        done = _finite("current", current)
        whole = None if total is None else _finite("total", total)
        self._run.progress(Progress(done, whole, None if message is None else _storable(message)[:LONGEST_MESSAGE]))

    def log(self, message: str, *values: object) -> None:
        """Adds a line to the job's own log; ``values`` fill in ``%s`` and the like, as in ``logging``."""
        self._run.log(_storable(message % values if values else message))

    @property
    def cancelled(self) -> bool:
        """Whether the job is to stop: somebody asked for a cancel, its time is up, the worker shuts down, or it runs
        elsewhere by now. An ``async def`` is cancelled by itself; a function in a thread has to look here and return.

        Who has seen that it is true has stopped, whatever is returned then: after a cancel the job is cancelled, after
        a shutdown it runs again.
        """
        cancelled = self._run.cancelled
        if cancelled:
            self._run.heeded = True
        return cancelled


class DetachedRun:
    """For a function that is called directly, outside of any job: log lines go to ``logging``."""

    cancelled = heeded = False

    def __init__(self, type: str) -> None:
        self._logger = logging.getLogger(f"async_job.job.{type}")

    def progress(self, progress: Progress) -> None:
        self._logger.debug("progress %s", progress)

    def log(self, message: str) -> None:
        self._logger.info("%s", message)


def _finite(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, and has to be a finite number")
    return number


def _storable(text: object) -> str:
    """Plain text; what UTF-8 cannot hold, as in file names that are no text, is replaced."""
    return str(text).encode("utf-8", "replace").decode()
