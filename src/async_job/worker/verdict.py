"""What the end of a worker process means for each job that it held."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from async_job.core.job import ErrorInfo, ErrorKind, Job
from async_job.core.lifecycle import Crashed, Failed, Outcome, Released
from async_job.worker.board import key
from async_job.worker.launch import EX_RETIRED


class Killed(StrEnum):
    """Why the supervisor killed a process."""

    DEADLINE = "a job did not end when its time was up"
    MEMORY = "it took more memory than worker_memory_limit allows"
    STALLED = "it gave no sign of life"
    OVERSTAYED = "it did not end when asked to"


class Deadline(Struct, frozen=True):
    """The moment (``time.monotonic()``) when a process has to be killed, because of which run."""

    at: float
    job: str
    token: str


class End(Struct, frozen=True, kw_only=True):
    """How a process ended: its exit code (negative: the signal), whether it was asked to, and who killed it.
    ``running``: the jobs that ran, by their keys on the board."""

    code: int
    asked: bool = False
    killed: Killed | None = None
    deadline: Deadline | None = None
    running: frozenset[bytes] = frozenset()
    was_ready: bool = False
    refusal: str = ""

    @property
    def orderly(self) -> bool:
        """It went because it was asked to, or had to: no run of its is to blame."""
        if self.killed is not None:
            return self.killed is Killed.OVERSTAYED
        return self.code == EX_RETIRED or (self.asked and self.code in (0, -signal.SIGTERM))

    @property
    def cause(self) -> str:
        """In words."""
        if self.killed is not None:
            return f"the process was killed: {self.killed}"
        if self.code >= 0:
            return f"the process ended with exit code {self.code}"
        hint = MEMORY_HINT if self.code == -signal.SIGKILL else ""
        return f"the process was killed by {_signal_name(-self.code)}{hint}"


MEMORY_HINT: Final = " (by hand, or because memory ran out)"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def suspects(end: End, held: Sequence[Job]) -> frozenset[str]:
    """The ids of those among the jobs that a process held which can have ended it: those that ran, or all when no such
    is known. The others waited for their turn, or had ended and not been told."""
    ran = frozenset(job.id for job in held if key(job.id) in end.running)
    return ran or frozenset(job.id for job in held)


def outcome_of(end: End, job: Job, *, suspects: Collection[str], now: int) -> Outcome:
    """What became of ``job``, which a process held when it ended."""
    token = job.token or ""
    if end.orderly:
        return Released(token)
    if end.killed is Killed.DEADLINE and end.deadline is not None:
        if (job.id, token) != (end.deadline.job, end.deadline.token):
            return Released(token, reason="neighbour")
        return Failed(token, _timed_out(job, now), isolate=True)
    if job.id not in suspects:
        return Released(token, reason="neighbour")
    reason = "memory" if end.killed is Killed.MEMORY else ""
    return Crashed(token, end.cause, alone=len(suspects) == 1, reason=reason)


def _timed_out(job: Job, now: int) -> ErrorInfo:
    limit = f" of {job.timeout / 1000:g} s" if job.timeout is not None else ""
    message = f"not finished within its timeout{limit}, and did not stop when asked to: its process was killed"
    return ErrorInfo(kind=ErrorKind.TIMEOUT, message=message, retryable=True, at=now)
