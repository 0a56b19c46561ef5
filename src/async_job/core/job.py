"""What a job is. All times are whole milliseconds since 1970 in UTC, all durations are milliseconds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from async_job.core.delivery import Delivery

DEFAULT_QUEUE: Final = "default"
DEFAULT_MAX_ATTEMPTS: Final = 3
DEFAULT_MAX_CRASHES: Final = 5
PRIORITY_STEP: Final = 60_000
"""How many milliseconds of waiting one step of priority is worth."""


class State(StrEnum):
    """Spelled the same in Python, JSON, SQL, Redis and the docs."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


FINISHED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})

ORIGINAL_WORD: Final[dict[State, str]] = {
    State.SCHEDULED: "PENDING",
    State.QUEUED: "PENDING",
    State.RUNNING: "STARTING",
    State.SUCCEEDED: "COMPLETE",
    State.FAILED: "FAILED",
    State.CANCELLED: "CANCELLED",
    State.EXPIRED: "EXPIRED",
}
"""The original's word for each state: what ``GET /status-job`` answers and what .NET reads."""


class ErrorKind(StrEnum):
    """What sort of end it was."""

    APPLICATION = "application"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INVALID_INPUT = "invalid_input"
    INVALID_RESULT = "invalid_result"
    UNKNOWN_TYPE = "unknown_type"


class ErrorInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run or a job ended badly.

    ``type`` is the exception's class, qualified with its module unless built in; ``at`` is when.
    """

    kind: ErrorKind
    message: str
    type: str = ""
    retryable: bool = False
    traceback: str = ""
    at: int = 0


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far a run has come: ``current`` of ``total`` (``None``: not known), with a word to the reader."""

    current: float
    total: float | None = None
    message: str | None = None

    @property
    def percent(self) -> float | None:
        """0 to 100, or ``None`` when the total is not known or zero."""
        if not self.total:
            return None
        return max(0.0, min(100.0, 100.0 * self.current / self.total))


class LogLine(Struct, frozen=True, array_like=True):
    """One line of a job's own log."""

    at: int
    message: str


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that did not succeed. ``reason`` is the reason of the change that ended it."""

    number: int
    started_at: int
    ended_at: int
    reason: str
    worker: str = ""
    error: ErrorInfo | None = None


# No job is part of a cycle, so the collector need not look at those that a program holds. Its fields may be given by
# place, because of stores that have all of them at hand: by name that many take twenty times as long.
class Job(Struct, frozen=True, gc=False):
    """A job as a store holds it.

    ``input`` and ``result`` are JSON text in bytes. ``token`` names the run that owns the job (the id of the
    claim that made it, ``worker:n``); it stays after the run's end until the next claim, so that a repeated
    report can be told from a late one, and is taken away by a rescue. ``scheduled_for`` is when the job may
    start, and gives its rank. ``attempts`` holds the ended runs that did not succeed.
    ``suspect`` jobs run in a child process of their own. ``owner`` is the id of the API key that made it; ``webhook``
    is the name of an endpoint, or a URL, that is told of its end. ``life`` tells of its states (``core.life``) and
    ``logged`` how many lines its log ever got; like the version, stores write them.
    """

    id: str
    type: str
    input: bytes
    state: State
    created_at: int
    scheduled_for: int
    updated_at: int
    reason: str = "submitted"
    version: int = 1
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    attempt: int = 0
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    failures: int = 0
    max_crashes: int = DEFAULT_MAX_CRASHES
    crashes: int = 0
    suspect: bool = False
    token: str | None = None
    timeout: int | None = None
    start_by: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    kept_until: int | None = None
    cancel_requested_at: int | None = None
    unique_key: str | None = None
    owner: str | None = None
    webhook: str | None = None
    labels: dict[str, str] = {}
    progress: Progress | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None
    attempts: tuple[Attempt, ...] = ()
    life: str = ""
    logged: int = 0

    @property
    def done(self) -> bool:
        return self.state in FINISHED

    @property
    def status(self) -> str:
        """The original's word: PENDING, STARTING, COMPLETE, or the state in capitals."""
        return ORIGINAL_WORD[self.state]

    @property
    def rank(self) -> int:
        """The place in the queue, lowest first: higher priority jumps ahead, but everybody's turn comes."""
        return self.scheduled_for - self.priority * PRIORITY_STEP

    @property
    def worker(self) -> str:
        """The id of the worker that holds or last held the job; empty before the first run."""
        return worker_of(self.token)


def worker_of(token: str | None) -> str:
    """The worker's part of a token ``worker:n``."""
    return token.rpartition(":")[0] if token else ""


class Guard(Struct, frozen=True, kw_only=True):
    """What must still be so when a change is written.

    ``token``: held by this run (``None``: whoever). ``uncancelled``: nobody has asked for a cancel.
    ``lapsed``: the lease of the worker that holds the job is over, or the worker is retired or unknown.
    ``deadline``: it still has one to be started by, which a retry takes away.
    """

    state: State
    token: str | None = None
    uncancelled: bool = False
    lapsed: bool = False
    deadline: bool = False


class Change(Struct, frozen=True, kw_only=True):
    """A decision: write ``fields`` to ``job``, if ``guard`` still holds.

    ``fields`` maps names of ``Job`` attributes to new values, and always has ``state``, ``reason`` and
    ``updated_at``; the version is the store's to raise. ``log`` lines are added to the job's log, and ``deliveries`` to
    the outbox. ``outcome`` marks what a run says about its own end: told again, it gets the first answer and writes
    nothing.
    """

    job: Job
    guard: Guard
    fields: dict[str, Any]
    log: tuple[LogLine, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    outcome: bool = False

    @property
    def state(self) -> State:
        """The state after the change."""
        state: State = self.fields["state"]
        return state

    def is_seen_in(self, job: Job) -> bool:
        """Whether the job is as this would have left it: then it was written, and the answer was lost on its way."""
        return all(getattr(job, name) == value for name, value in self.fields.items())

    def get(self, name: str) -> Any:
        """The value of an attribute after the change."""
        return self.fields[name] if name in self.fields else getattr(self.job, name)
