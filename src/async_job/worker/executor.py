"""Runs one claimed job from its claim to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from async_job.core.job import ErrorInfo, ErrorKind
from async_job.core.lifecycle import Crashed, Failed, NotKnown, NotStarted, Outcome, Released, Stopped, Succeeded
from async_job.errors import InvalidResult, OutdatedInput
from async_job.function import JobFunction
from async_job.worker.active import ActiveRun
from async_job.worker.children import ChildDied, ChildNotStarted, ChildRaised
from async_job.worker.failure import describe, shorten

AnyFunction = JobFunction[..., Any, Any]
Call = Callable[[AnyFunction, ActiveRun], Awaitable[bytes]]

LONGEST_REASON: Final = 2_000
NO_PROCESS_PAUSE: Final = 5_000
"""Milliseconds until a job is claimed again for which no child process could be started."""


class Executor:
    """Turns active runs into outcomes. It never raises: whatever the function does becomes an outcome. ``call`` runs a
    function, and gives its result as JSON text (see ``Runners.run``)."""

    def __init__(self, functions: Mapping[str, AnyFunction], call: Call, now: Callable[[], int]) -> None:
        self._functions = functions
        self._call = call
        self._now = now

    async def run(self, active: ActiveRun) -> Outcome | None:
        """The run's outcome; ``None`` when the job is no longer this worker's and there is nobody to tell."""
        job = active.job
        function = self._functions.get(job.type)
        if function is None:
            return NotKnown(active.token)
        try:
            result = await self._call(function, active)
        except asyncio.CancelledError as error:
            outcome = self._stopped(active, error)
        except ChildNotStarted as error:
            outcome = self._no_process(active, error)
        except ChildRaised as error:
            outcome = Failed(active.token, error.error)
        except ChildDied as error:
            outcome = Crashed(active.token, error.cause, alone=True, reason=error.reason)
        except OutdatedInput as error:
            outcome = self._invalid(active, ErrorKind.INVALID_INPUT, str(error))
        except InvalidResult as error:
            outcome = self._invalid(active, ErrorKind.INVALID_RESULT, str(error))
        except BaseException as error:  # noqa: BLE001 - SystemExit of a job must not end the worker
            outcome = Failed(active.token, describe(error, self._now()))
        else:
            outcome = Succeeded(active.token, result)
        if active.heeded and isinstance(outcome, Succeeded | Failed):
            # A function that looked whether it is to stop, and saw that it is, has stopped, however it did that. One
            # that did not look has done all its work.
            outcome = _as_asked(active)
        return self._with_last_words(active, self._in_time(active, outcome))

    def not_started(self, active: ActiveRun) -> Outcome | None:
        """The outcome of a run that was stopped before it began."""
        return None if active.lost else NotStarted(active.token)

    def _stopped(self, active: ActiveRun, error: asyncio.CancelledError) -> Outcome:
        """Why the function was cancelled; nobody asked for it: the function did it itself, as by a bare raise."""
        return _as_asked(active) if active.cancelled else Failed(active.token, describe(error, self._now()))

    def _no_process(self, active: ActiveRun, error: ChildNotStarted) -> Outcome:
        """It is not the job's fault, so it is not charged with it."""
        told = ErrorInfo(kind=ErrorKind.CRASHED, message=str(error), retryable=True, at=self._now())
        return Released(active.token, "no_process", delay=NO_PROCESS_PAUSE, error=told)

    def _in_time(self, active: ActiveRun, outcome: Outcome) -> Outcome:
        """A run whose time was up has timed out, however it ended; a cancel that was asked for goes before."""
        if not active.timed_out or active.cancel_asked or isinstance(outcome, Crashed):
            return outcome
        seconds = (active.job.timeout or 0) / 1000
        message = f"not finished within its timeout of {seconds:g} s"
        error = ErrorInfo(kind=ErrorKind.TIMEOUT, message=message, retryable=True, at=self._now())
        return Failed(active.token, error)

    def _invalid(self, active: ActiveRun, kind: ErrorKind, message: str) -> Failed:
        error = ErrorInfo(kind=kind, message=shorten(message, LONGEST_REASON), at=self._now())
        return Failed(active.token, error)

    def _with_last_words(self, active: ActiveRun, outcome: Outcome) -> Outcome | None:
        """The progress and lines that no beat has taken go with the outcome."""
        if active.lost:
            return None
        if not active.has_news or isinstance(outcome, NotKnown | NotStarted | Crashed):
            return outcome
        progress, lines = active.take()
        return replace(outcome, progress=progress, log=lines)


def _as_asked(active: ActiveRun) -> Outcome:
    return Stopped(active.token) if active.cancel_asked else Released(active.token)
