"""The store that lives in the process: nothing to install, nothing left after the end.

It is also the plainest statement of what a store does, and the oracle that the others are tested against. One lock
makes every method atomic, so that several event loops of one process may share a store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import islice, zip_longest
from threading import RLock
from typing import Any, Final

from msgspec.structs import replace

from async_job.clock import Clock, SystemClock
from async_job.core.job import Change, Job, LogLine, State, worker_of
from async_job.core.life import lived
from async_job.errors import ForkError, LeaseOver, NotEnrolled, StaleClaim
from async_job.store import codec
from async_job.store.bell import Bell
from async_job.store.codec import USUAL_LIMITS, LogLimits
from async_job.store.memory.administration import MemoryAdministration
from async_job.store.memory.check import check_table, repair_table
from async_job.store.memory.index import Index as Ids
from async_job.store.memory.outbox import MemoryOutbox
from async_job.store.memory.table import Holding, Table
from async_job.store.protocol import (
    BATCH,
    CLAIMS_IN_FLIGHT,
    Answer,
    Beat,
    Changes,
    Claimed,
    ClaimId,
    Counts,
    Due,
    Finding,
    Health,
    IdempotencyKey,
    Index,
    Place,
    Stale,
    Submitted,
    Worker,
)

FORGET_LAPSED: Final = 3_600_000
MOST_AHEAD: Final = 1_000


class MemoryStore:
    """See ``store.protocol.Store`` for what each method promises. ``owner``: the process that the jobs are kept in, if
    that is not this one; then the store cannot be opened."""

    trips = 1

    def __init__(
        self, clock: Clock | None = None, *, owner: int | None = None, log_limits: LogLimits = USUAL_LIMITS
    ) -> None:
        self._clock = clock or SystemClock()
        self._pid = owner or os.getpid()
        self._lock = RLock()
        self._table = Table(log_limits)
        self._changed = Bell()
        self._ready = Bell()
        self.administration = MemoryAdministration(self._table, self._lock, self._ready)
        self.outbox = MemoryOutbox(self._table, self._lock, self._clock)

    def now(self) -> int:
        return self._clock.now()

    async def open(self) -> None:
        """There is nothing to open. Raises ``ForkError`` in another process, where jobs would be lost."""
        if self._pid != os.getpid():
            raise ForkError(
                f"memory:// belongs to process {self._pid} that made it: to submit jobs from other processes (forked, "
                'or of runner="process"), use sqlite:/// or redis://'
            )

    async def close(self) -> None:
        """There is nothing to close: the jobs stay for the other loops of the process."""

    async def submit(self, jobs: Sequence[Job], keys: Sequence[IdempotencyKey | None] = ()) -> list[Submitted]:
        with self._lock:
            answers = [self._submit(job, key) for job, key in zip_longest(jobs, keys)]
        self._changed.ring()
        self._ready.ring()
        return answers

    def _submit(self, job: Job, key: IdempotencyKey | None) -> Submitted:
        table = self._table
        if job.id in table.jobs:
            return Submitted(job.id, created=True)
        if key is not None:
            known, id = table.idempotency.get(key.name, (None, ""))
            if known is not None and known.expires_at > self.now():
                same = known.fingerprint == key.fingerprint
                return Submitted(id, created=False, replayed=same, mismatched=not same)
        if job.unique_key is not None:
            holder = table.unique.setdefault((job.type, job.unique_key), job.id)
            if holder != job.id:
                return Submitted(holder, created=False)
        if key is not None:
            table.idempotency[key.name] = key, job.id
        table.add(job)
        return Submitted(job.id, created=True)

    async def enroll(self, worker: Worker, lease: int) -> None:
        with self._lock:
            known = self._table.workers.get(worker.id)
            if known is None:
                self._table.workers[worker.id] = Holding(worker, self.now() + lease)
            elif known.lease_end:
                known.lease_end = self.now() + lease
            else:
                raise NotEnrolled(f"worker {worker.id} was retired")

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        with self._lock:
            answers = []
            for id in workers:
                known = self._table.workers.get(id)
                answers.append(known is not None and known.lease_end > 0)
                if known is not None and known.lease_end:
                    known.lease_end = self.now() + lease
            return answers

    async def retire(self, worker: str) -> list[Job]:
        with self._lock:
            known = self._table.workers.get(worker)
            if known is None:
                return []
            known.lease_end = 0
            return [self._table.jobs[id] for id in known.held]

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        with self._lock:
            known = self._table.workers.get(claim_id.worker)
            if known is None or not known.lease_end:
                raise NotEnrolled(f"worker {claim_id.worker} is retired or was never enrolled")
            if claim_id.n <= known.last_claim - CLAIMS_IN_FLIGHT:
                raise StaleClaim(f"claim {claim_id.n} of worker {claim_id.worker}: already at {known.last_claim}")
            if claim_id.n <= known.last_claim:
                held = [self._table.jobs[id] for id in known.held if self._table.jobs[id].token == claim_id.token]
                return Claimed(held, self._next_due())
            if known.lease_end <= self.now():
                raise LeaseOver(f"the lease of worker {claim_id.worker} is over")
            known.last_claim = claim_id.n
            promoted = self._promote()
            jobs = [self._start(job, claim_id.token) for job in self._ready_jobs(queues, limit)]
            claimed = Claimed(jobs, self._next_due())
        if promoted:
            # It may be in another worker's queue, or more than this one takes.
            self._ready.ring()
        if promoted or jobs:
            self._changed.ring()
        return claimed

    def _promote(self) -> bool:
        due = self._table.scheduled.up_to(self.now(), BATCH)
        for id in due:
            job = self._table.jobs[id]
            self._table.move(job, _step(job, State.QUEUED, reason="due", updated_at=self.now()))
        return bool(due)

    def _ready_jobs(self, queues: Sequence[str], limit: int) -> list[Job]:
        """The next jobs in order, without those whose deadline has passed."""
        now = self.now()
        table = self._table
        open_queues = (queue for queue in dict.fromkeys(queues) if queue not in table.paused)
        queued = (table.jobs[id] for queue in open_queues for id in table.queues.get(queue, ()))
        ready = (job for job in queued if job.attempt or job.start_by is None or job.start_by > now)
        return list(islice(ready, limit))

    def _start(self, job: Job, token: str) -> Job:
        now = self.now()
        started = _step(
            job, State.RUNNING, reason="claimed", token=token, attempt=job.attempt + 1, started_at=now, updated_at=now
        )
        self._table.move(job, started)
        self._table.started[job.queue] = self._table.started.get(job.queue, 0) + 1
        return started

    def _next_due(self) -> int | None:
        first = self._table.scheduled.first()
        return None if first is None else first[0]

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        with self._lock:
            return [self._report(beat) for beat in beats]

    def _report(self, beat: Beat) -> Answer:
        job = self._table.jobs.get(beat.id)
        if job is None or job.state is not State.RUNNING or job.token != beat.token:
            return Answer.LOST
        if beat.progress is not None:
            job = replace(job, progress=beat.progress, version=job.version + 1)
        self._table.jobs[beat.id] = replace(job, logged=job.logged + len(beat.log))
        self._table.append_log(beat.id, beat.log)
        return Answer.OK if job.cancel_requested_at is None else Answer.CANCEL

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        with self._lock:
            answers = [self._apply(change) for change in changes]
        self._changed.ring()
        self._ready.ring()
        return answers

    def _apply(self, change: Change) -> Job | Stale:
        job = self._table.jobs.get(change.job.id)
        if job is None:
            return Stale(None)
        if not self._holds(change, job):
            told_before = change.outcome and job.token == change.guard.token and job.state is not State.RUNNING
            return job if told_before else Stale(job)
        after = _step(job, **change.fields, logged=job.logged + len(change.log))
        if job.unique_key is not None:
            key = (job.type, job.unique_key)
            if after.done and self._table.unique.get(key) == job.id:
                del self._table.unique[key]
            elif job.done and not after.done:
                holder = self._table.unique.setdefault(key, job.id)
                if holder != job.id:
                    return Stale(job, holder)
        self._table.append_log(job.id, change.log)
        for delivery in change.deliveries:
            self._table.put_delivery(delivery)
        self._table.move(job, after)
        return after

    def _holds(self, change: Change, job: Job) -> bool:
        guard = change.guard
        return (
            job.state is guard.state
            and (guard.token is None or job.token == guard.token)
            and not (guard.uncancelled and job.cancel_requested_at is not None)
            and not (guard.lapsed and not self._lapsed(worker_of(job.token)))
            and not (guard.deadline and job.start_by is None)
        )

    def _lapsed(self, worker: str) -> bool:
        known = self._table.workers.get(worker)
        return known is None or known.lease_end <= self.now()

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        with self._lock:
            return [self._table.jobs.get(id) for id in ids]

    def jobs(self) -> list[Job]:
        """All jobs, in no order; what only a memory can give."""
        with self._lock:
            return list(self._table.jobs.values())

    async def scan(
        self, index: Index, after: Place | None, limit: int, newest: bool = False
    ) -> list[tuple[Place, Job | None]]:
        with self._lock:
            ids = self._ids(index)
            place = None if after is None else (after.score, after.id)
            return [(Place(*entry), self._table.jobs[entry[1]]) for entry in ids.after(place, limit, newest)]

    def _ids(self, index: Index) -> Ids:
        table = self._table
        if index.state is State.QUEUED:
            return table.queues.get(index.queue, Ids())
        if index.state is State.SCHEDULED:
            return table.scheduled
        if index.state is not State.RUNNING:
            return table.ended.get(index.state, Ids())
        running = Ids()
        for holding in table.workers.values():
            for id in holding.held:
                running.add(table.jobs[id].started_at or 0, id)
        return running

    async def ahead(self, id: str) -> int | None:
        with self._lock:
            job = self._table.jobs.get(id)
            if job is None or job.state is not State.QUEUED:
                return None
            return min(MOST_AHEAD, self._table.queues[job.queue].ahead_of(job.rank, id))

    async def delete(self, ids: Sequence[str]) -> list[Job | None]:
        with self._lock:
            return [self._delete(id) for id in ids]

    def _delete(self, id: str) -> Job | None:
        job = self._table.jobs.get(id)
        if job is None or not job.done:
            return job
        self._table.remove(id)
        return None

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        with self._lock:
            lines = self._table.logs.get(id, [])
            gone = self._table.jobs[id].logged - len(lines) if lines else 0
            return lines[max(after - gone, 0) :]

    async def counts(self) -> Counts:
        with self._lock:
            states = dict.fromkeys(State, 0)
            for job in self._table.jobs.values():
                states[job.state] += 1
            return Counts(states, {name: len(queue) for name, queue in self._table.queues.items() if len(queue)})

    async def due(self) -> Due:
        with self._lock:
            now = self.now()
            return Due(
                rescuable=any(map(self._lapsed, self._table.workers)),
                overdue=bool(self._table.deadlines.up_to(now, 1)),
                deliveries=bool(self._table.due_deliveries.up_to(now, 1)),
            )

    async def rescuable(self, limit: int) -> list[Job]:
        with self._lock:
            for id, known in list(self._table.workers.items()):
                if not known.held and known.lease_end <= self.now() - (FORGET_LAPSED if known.lease_end else 0):
                    del self._table.workers[id]
            over = sorted((known.lease_end, id) for id, known in self._table.workers.items() if self._lapsed(id))
            ids = (id for _, worker in over for id in self._table.workers[worker].held)
            return [self._table.jobs[id] for id in islice(ids, limit)]

    async def overdue(self, limit: int) -> list[Job]:
        with self._lock:
            return [self._table.jobs[id] for id in self._table.deadlines.up_to(self.now(), limit)]

    async def purge(self, limit: int) -> int:
        with self._lock:
            ids = self._table.kept.up_to(self.now(), limit)
            for id in ids:
                self._table.remove(id)
            expired = [name for name, (key, _) in self._table.idempotency.items() if key.expires_at <= self.now()]
            for name in expired:
                del self._table.idempotency[name]
            return len(ids)

    async def changes(self, after: str | None, timeout: float, along: Sequence[str] = ()) -> Changes:
        if after is None:
            with self._lock:
                return Changes([], str(self._table.entry_count), jobs=self._along(along))
        with self._changed.listening() as rung:
            if after == str(self._table.entry_count):
                await asyncio.wait([rung], timeout=timeout)
        with self._lock:
            cursor = str(self._table.entry_count)
            number = codec.change_number(after)
            behind = self._table.entry_count - number
            if number < 0 or not 0 <= behind <= len(self._table.entries):
                return Changes([], cursor, reset=True, jobs=self._along(along))
            entries = list(self._table.entries)[len(self._table.entries) - behind :]
            return Changes(entries, cursor, jobs=self._along(along))

    def _along(self, ids: Sequence[str]) -> dict[str, Job | None]:
        return {id: self._table.jobs.get(id) for id in ids}

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        with self._ready.listening() as rung:
            with self._lock:
                ready = self._ready_jobs(queues, 1)
            if not ready:
                await asyncio.wait([rung], timeout=timeout)

    async def check(self) -> list[Finding]:
        with self._lock:
            return check_table(self._table)

    async def repair(self) -> None:
        with self._lock:
            repair_table(self._table)

    async def health(self) -> Health:
        return Health(backend="memory", durability="nothing outlives the process", durable=False)


def _step(job: Job, state: State, **fields: Any) -> Job:
    """The job as it comes to a state."""
    version = job.version + 1
    return replace(job, state=state, version=version, life=lived(job.life, version, state), **fields)
