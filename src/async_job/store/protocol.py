"""What every store does. All methods are plural and atomic per call; none decides anything.

A caller may repeat any call after a ``StoreUnavailable``: submits are known by the job's id, claims by their
claim id, outcomes by their token, and the rest may be done twice. An empty list is answered with an empty list.
Text may hold any character, also NUL and newlines; ids, queues, types and keys are compared byte by byte, and order
"by id" is the order of their code points.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from async_job.core.job import Change, Job, LogLine, Progress, State

if TYPE_CHECKING:
    from async_job.store.administration import Administration
    from async_job.store.outbox import Outbox

BATCH: int = 256
"""At most this many items are written at once; callers may give more, the store makes batches."""


CLAIMS_IN_FLIGHT: int = 2
"""So many claims of a worker may be without their answer at a time."""


class IdempotencyKey(Struct, frozen=True):
    """The right to submit something once. ``name`` says who may, and what for; ``fingerprint`` is of what is submitted;
    the store forgets the key at ``expires_at`` (milliseconds), whether its job is still kept or not."""

    name: str
    fingerprint: str
    expires_at: int


class Submitted(Struct, frozen=True, gc=False):
    """``created``: the job is stored under ``id`` (also when it was already, by the same submit told twice).

    Otherwise nothing was written, and ``id`` is the job that was first submitted under the idempotency key
    (``replayed``, or ``mismatched`` if that had another fingerprint; it may be no longer kept), or else the live job
    that holds the unique key.
    """

    id: str
    created: bool
    replayed: bool = False
    mismatched: bool = False


class Index(Struct, frozen=True):
    """The jobs of one state in that state's order; those that are queued, of one queue.

    Scheduled ones are in the order in which they are due, queued ones by rank, running ones by their start, and ended
    ones by their end.
    """

    state: State
    queue: str = ""


class Place(Struct, frozen=True, order=True, array_like=True):
    """Where a job stands in an index. ``score`` is the store's own, comparable within one index of one store only."""

    score: int
    id: str


class Worker(Struct, frozen=True, kw_only=True):
    """A worker process, as others see it. ``id`` is random per process start."""

    id: str
    host: str
    pid: int
    started_at: int
    queues: tuple[str, ...]
    concurrency: int
    version: str = ""


class ClaimId(Struct, frozen=True):
    """The ``n``-th claim of a worker; ``n`` rises from 1. Claim ``n + 1`` may be made before ``n`` is answered, and
    ``n + 2`` only after."""

    worker: str
    n: int

    @property
    def token(self) -> str:
        return f"{self.worker}:{self.n}"


class Claimed(Struct, frozen=True):
    """The jobs now held, each with this claim's token, and when the next scheduled job of these queues (or, at
    the store's choice, of any queue) is due; ``None``: none is scheduled."""

    jobs: list[Job]
    next_due: int | None


class Beat(Struct, frozen=True):
    """A run that is alive, with what it has to tell: the latest progress, and new lines for the log."""

    id: str
    token: str
    progress: Progress | None = None
    log: tuple[LogLine, ...] = ()


class Answer(StrEnum):
    """To a beat: go on, stop because somebody asked for a cancel, or stop because the job is not yours."""

    OK = "ok"
    CANCEL = "cancel"
    LOST = "lost"


class Stale(Struct, frozen=True):
    """The guard did not hold. ``job`` is the job as it is (``None``: gone). ``holder``: the live job that holds
    the unique key which this change would have taken again."""

    job: Job | None
    holder: str | None = None


class Entry(Struct, frozen=True, array_like=True):
    """One line of the change log: the job came to this state."""

    id: str
    version: int
    state: State
    reason: str


class Changes(Struct, frozen=True):
    """What happened after a cursor, oldest first. ``reset``: the log no longer reaches back that far, or the cursor
    is none that this store gave; anything may have happened, so read what you care for anew and go on from
    ``cursor``.

    ``jobs``: those that were asked for along with the log, by id, as they were when these entries had been written or
    later. ``None``: not there; one that cannot be read is missing.
    """

    entries: list[Entry]
    cursor: str
    reset: bool = False
    jobs: dict[str, Job | None] = {}


class Counts(Struct, frozen=True):
    """How many jobs are in each state, and how many are queued in each queue (queues with none may be missing)."""

    states: dict[State, int]
    queued: dict[str, int]


class Due(Struct, frozen=True):
    """For which of ``rescuable``, ``overdue`` and ``outbox.take`` there may be something to do now."""

    rescuable: bool = False
    overdue: bool = False
    deliveries: bool = False


class Finding(Struct, frozen=True):
    """Something that is not as promised: which job (or key), and what is wrong with it."""

    id: str
    problem: str


class Health(Struct, frozen=True, kw_only=True):
    """``backend`` with its version, and in one sentence what a crash of the store can lose now."""

    backend: str
    durability: str
    durable: bool


class Store(Protocol):
    """A store is built with a ``Clock`` and belongs to the event loop that opened it (the memory store: to all
    loops of its process). Every method may raise ``StoreUnavailable``; writes may raise ``StoreFull``.

    ``trips`` says of how many calls that come one after the other it can use the next while it works on the first:
    2 where a server works while this process does, 1 where there is nothing to be gained by smaller groups.
    """

    trips: int

    def now(self) -> int:
        """The store's own time in milliseconds: the same for all who use the store, and never ahead of it."""
        ...

    async def open(self) -> None:
        """Connects, makes or checks the schema, and learns the store's time.

        Raises:
            StoreRefused: the set-up would lose jobs, or the store was written by a newer version.
        """
        ...

    async def close(self) -> None:
        """Finishes what is in flight and lets go of everything. May be called twice."""
        ...

    @property
    def administration(self) -> Administration:
        """Queues, workers and documents."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Webhook deliveries."""
        ...

    async def submit(self, jobs: Sequence[Job], keys: Sequence[IdempotencyKey | None] = ()) -> list[Submitted]:
        """Inserts new jobs (state ``queued`` or ``scheduled``), each on its own: one answer a job, in order.

        A job whose ``unique_key`` is held by a live job of the same type is not written; of two in one call the
        first wins. A job whose id is already there is not written either, whatever else is different, and the
        answer is ``created``.

        ``keys`` is empty, or has one entry a job. A key that is known and has not expired is looked at after the id
        and before the unique key, and its job is not written; a new one is kept in the same step as the job.
        """
        ...

    async def enroll(self, worker: Worker, lease: int) -> None:
        """Makes the worker known, with a lease of ``lease`` ms from now. An id is enrolled once; again, with the
        same id while it is not retired, it is the same as ``extend``.

        Raises:
            NotEnrolled: the id was retired.
        """
        ...

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        """Renews each worker's lease to ``lease`` ms from now, also one that has run out but was not retired.
        False: the id was retired or is unknown, and nothing was written for it."""
        ...

    async def retire(self, worker: str) -> list[Job]:
        """Bars the id for good (its claims are refused and its lease counts as over) and returns the jobs that
        it holds, in any order, which stay running until ``apply``. Again: the same. For an unknown id: nothing is
        held, nothing is barred, and it is no error."""
        ...

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        """Moves what is due from ``scheduled`` to ``queued`` (oldest first, at most a batch), then gives the worker
        up to ``limit`` queued jobs (perhaps no more than a batch), in this order: the first of ``queues`` first,
        each by rank, then by id. A queue named twice counts once. A job that was never started and whose deadline
        has come (``start_by`` is now or earlier) is promoted, but not given out, and holds up none behind it. Nothing
        is given out of a paused queue.

        A claimed job is ``running`` with ``attempt`` one higher, ``token`` the claim's, ``started_at`` and
        ``updated_at`` now, ``reason`` ``claimed`` and ``version`` one higher; a promoted one has ``updated_at`` now,
        ``reason`` ``due`` and ``version`` one higher. The same claim id again, or the one before it, returns the jobs
        still running under its token, in any order, and claims and promotes nothing; that also goes when the lease is
        over, and for the one before it if that was never made. A refused
        claim changes nothing and uses up no claim id. A worker's claims go through one store object, and only that
        has to remember a claim that gave nothing and promoted nothing.

        Raises, the first that applies:
            NotEnrolled: the worker was retired or never enrolled.
            StaleClaim: the worker has already used a claim id that is higher by ``CLAIMS_IN_FLIGHT`` or more.
            LeaseOver: the worker's lease is over (it ends now or earlier) and not renewed yet.
        """
        ...

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        """Stores progress (raising the version, and nothing else) and log lines (counted in ``logged``) of
        those that still hold their jobs: state running and the same token. One answer a beat, in order. ``lost`` writes
        nothing, ``cancel`` writes as ``ok`` does. Whether the lease is over does not matter, as long as nobody has
        rescued the job."""
        ...

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        """Writes each change whose guard holds, each on its own: fields, indexes, version + 1, ``life``, change log,
        log lines, and the unique key (given up by a job that ends, if it is the job's; taken again by one that comes
        back from an end, else ``Stale`` with ``holder``). Fields that a change does not name stay as they are.
        The answer is the job after the change; what a report wrote since the decision was made may be missing in
        it. ``Stale`` bears the job exactly as it is, and writes nothing, also no log lines. Changes of one call are
        written in order, so a second one for the same job meets what the first one wrote.

        An ``outcome`` whose token the job still bears, but which is no longer running, was told before: the answer
        is the job as it is, and nothing is written.

        Raises:
            Unreadable: what is to be answered of one job cannot be read; the others may be written or not.
        """
        ...

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        """The jobs as they are, in order; ``None`` for an id that is not there, whatever the id looks like."""
        ...

    async def scan(
        self, index: Index, after: Place | None, limit: int, newest: bool = False
    ) -> list[tuple[Place, Job | None]]:
        """Up to ``limit`` (at most a batch) jobs of the index that stand after the place, which need not be taken any
        more; ``None``: from the first. ``newest``: backwards, from the last. ``None`` for a job: there is one, and it
        cannot be read."""
        ...

    async def ahead(self, id: str) -> int | None:
        """How many jobs stand before this one in its queue, counted up to 1,000; ``None``: it is not queued."""
        ...

    async def delete(self, ids: Sequence[str]) -> list[Job | None]:
        """Removes ended jobs with all that belongs to them, each on its own. A job that has not ended stays, and is the
        answer; ``None``: it is not there (any more). Idempotency keys stay until they expire."""
        ...

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        """The kept lines of the job's log after the first ``after`` lines that it ever got, oldest first; empty for
        an unknown job. The newest lines are kept, as many as the store's ``codec.LogLimits`` allow; all count as
        lines that the log got, kept or not."""
        ...

    async def counts(self) -> Counts:
        """All states are there, also those with no job."""
        ...

    async def due(self) -> Due:
        """What there is to do for whoever keeps house, in one question. Where it says no, the call would have found
        nothing and changed nothing; where it says yes, it may find nothing."""
        ...

    async def rescuable(self, limit: int) -> list[Job]:
        """Running jobs whose worker's lease is over (it ends now or earlier), or whose worker was retired: the retired
        first, then the longest over. Also forgets workers that are retired, or lapsed for an hour, and hold nothing;
        a forgotten id is as one that never was enrolled."""
        ...

    async def overdue(self, limit: int) -> list[Job]:
        """Scheduled and queued jobs that were never started and whose ``start_by`` is now or earlier: the oldest
        first, then by id."""
        ...

    async def purge(self, limit: int) -> int:
        """Removes up to ``limit`` finished jobs whose ``kept_until`` is now or earlier, with all that belongs to them
        (record, log and indexes), the oldest first, then by id. Tells how many."""
        ...

    async def changes(self, after: str | None, timeout: float, along: Sequence[str] = ()) -> Changes:
        """The change log after the cursor: one entry for each version that submit, claim and apply made (a report and
        a purge make none), in the order of the calls; within a call only those of one job are in order. Perhaps not
        all at once; the cursor of the answer says where to go on. Waits up to ``timeout`` seconds for a first entry.
        ``None``: from now on, answered at once with the present cursor and no entries. ``along``: ids of a few jobs
        that are read in the same step."""
        ...

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Returns when a job may have become ready in one of the queues (or will at a time not known before), or
        after ``timeout`` seconds. A hint: it may come for nothing, and it may not come."""
        ...

    async def check(self) -> list[Finding]:
        """Compares every job with the indexes: each in exactly one state and in exactly that state's indexes, each
        held job's worker known, each live unique key held. Empty when all is as promised."""
        ...

    async def repair(self) -> None:
        """Mends what ``check`` finds, as far as it can be told from the jobs themselves, beside workers at work. No job
        is removed, and none comes to another state: what runs under a worker that is not known is left to whoever
        rescues. Of two live jobs with one unique key, one gives it up."""
        ...

    async def health(self) -> Health:
        """Runs a real read and write path in the store and says what it promises now."""
        ...
