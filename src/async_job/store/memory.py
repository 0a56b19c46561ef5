"""The store that lives in the process: nothing to install, nothing left after the end.

It is also the plainest statement of what a store does, and the oracle that the others are tested against. One lock
makes every method atomic, so that several event loops of one process may share a store.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from threading import RLock
from typing import Final

from msgspec.structs import replace

from async_job.clock import Clock, SystemClock
from async_job.core.job import Change, Job, LogLine, State, worker_of
from async_job.errors import LeaseOver, NotEnrolled, StaleClaim
from async_job.store.bell import Bell
from async_job.store.codec import LOG_LINES_KEPT
from async_job.store.protocol import (
    BATCH,
    Answer,
    Beat,
    Changes,
    Claimed,
    ClaimId,
    Counts,
    Entry,
    Finding,
    Health,
    Stale,
    Submitted,
    Worker,
)

CHANGES_KEPT: Final = 10_000
FORGET_LAPSED: Final = 3_600_000


class Index:
    """Ids in the order of a number, then of the id."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str]] = []

    def add(self, score: int, id: str) -> None:
        insort(self._entries, (score, id))

    def remove(self, score: int, id: str) -> None:
        at = bisect_left(self._entries, (score, id))
        if at < len(self._entries) and self._entries[at] == (score, id):
            del self._entries[at]

    def up_to(self, score: int, limit: int) -> list[str]:
        """The first ids whose number is at most ``score``, lowest first."""
        return [id for _, id in self._entries[: min(limit, bisect_left(self._entries, (score + 1, "")))]]

    def first(self) -> int | None:
        return self._entries[0][0] if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return (id for _, id in self._entries)

    def pairs(self) -> set[tuple[int, str]]:
        return set(self._entries)


class Holding:
    """A worker as the store knows it: its lease's end (0: retired), its last claim, and the ids it holds."""

    def __init__(self, worker: Worker, lease_end: int) -> None:
        self.worker = worker
        self.lease_end = lease_end
        self.last_claim = 0
        self.held: dict[str, None] = {}


class MemoryStore:
    """See ``store.protocol.Store`` for what each method promises."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = RLock()
        self._jobs: dict[str, Job] = {}
        self._logs: dict[str, list[LogLine]] = {}
        self._queues: dict[str, Index] = {}
        self._scheduled = Index()
        self._deadlines = Index()
        self._kept = Index()
        self._workers: dict[str, Holding] = {}
        self._unique: dict[tuple[str, str], str] = {}
        self._entries: deque[Entry] = deque(maxlen=CHANGES_KEPT)
        self._entry_count = 0
        self._changed = Bell()
        self._ready = Bell()

    def now(self) -> int:
        return self._clock.now()

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is nothing to close: the jobs stay for the other loops of the process."""

    async def submit(self, jobs: Sequence[Job]) -> list[Submitted]:
        with self._lock:
            answers = [self._submit(job) for job in jobs]
        self._changed.ring()
        self._ready.ring()
        return answers

    def _submit(self, job: Job) -> Submitted:
        if job.id in self._jobs:
            return Submitted(job.id, created=True)
        if job.unique_key is not None:
            holder = self._unique.setdefault((job.type, job.unique_key), job.id)
            if holder != job.id:
                return Submitted(holder, created=False)
        self._jobs[job.id] = job
        self._enter(job)
        self._record(job)
        return Submitted(job.id, created=True)

    def _enter(self, job: Job) -> None:
        """Puts the job into the indexes of its state."""
        if job.state is State.QUEUED:
            self._queues.setdefault(job.queue, Index()).add(job.rank, job.id)
        elif job.state is State.SCHEDULED:
            self._scheduled.add(job.scheduled_for, job.id)
        elif job.state is State.RUNNING:
            self._workers[job.worker].held[job.id] = None
        elif job.kept_until is not None:
            self._kept.add(job.kept_until, job.id)
        if not job.done and not job.attempt and job.start_by is not None:
            self._deadlines.add(job.start_by, job.id)

    def _leave(self, job: Job) -> None:
        """Takes the job out of the indexes of its state."""
        if job.state is State.QUEUED:
            self._queues[job.queue].remove(job.rank, job.id)
        elif job.state is State.SCHEDULED:
            self._scheduled.remove(job.scheduled_for, job.id)
        elif job.state is State.RUNNING:
            self._workers[job.worker].held.pop(job.id, None)
        elif job.kept_until is not None:
            self._kept.remove(job.kept_until, job.id)
        if job.start_by is not None:
            self._deadlines.remove(job.start_by, job.id)

    def _move(self, before: Job, after: Job) -> None:
        self._leave(before)
        self._jobs[after.id] = after
        self._enter(after)
        self._record(after)

    def _record(self, job: Job) -> None:
        self._entries.append(Entry(job.id, job.version, job.state, job.reason))
        self._entry_count += 1

    async def enroll(self, worker: Worker, lease: int) -> None:
        with self._lock:
            known = self._workers.get(worker.id)
            if known is None:
                self._workers[worker.id] = Holding(worker, self.now() + lease)
            elif known.lease_end:
                known.lease_end = self.now() + lease
            else:
                raise NotEnrolled(f"worker {worker.id} was retired")

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        with self._lock:
            answers = []
            for id in workers:
                known = self._workers.get(id)
                answers.append(known is not None and known.lease_end > 0)
                if known is not None and known.lease_end:
                    known.lease_end = self.now() + lease
            return answers

    async def retire(self, worker: str) -> list[Job]:
        with self._lock:
            known = self._workers.get(worker)
            if known is None:
                return []
            known.lease_end = 0
            return [self._jobs[id] for id in known.held]

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        with self._lock:
            known = self._workers.get(claim_id.worker)
            if known is None or not known.lease_end:
                raise NotEnrolled(f"worker {claim_id.worker} is retired or was never enrolled")
            if claim_id.n < known.last_claim:
                raise StaleClaim(f"claim {claim_id.n} of worker {claim_id.worker}: already at {known.last_claim}")
            if claim_id.n == known.last_claim:
                held = [self._jobs[id] for id in known.held if self._jobs[id].token == claim_id.token]
                return Claimed(held, self._scheduled.first())
            if known.lease_end <= self.now():
                raise LeaseOver(f"the lease of worker {claim_id.worker} is over")
            known.last_claim = claim_id.n
            promoted = self._promote()
            jobs = [self._start(job, claim_id.token) for job in self._ready_jobs(queues, limit)]
            claimed = Claimed(jobs, self._scheduled.first())
        if promoted:
            # It may be in another worker's queue, or more than this one takes.
            self._ready.ring()
        if promoted or jobs:
            self._changed.ring()
        return claimed

    def _promote(self) -> bool:
        due = self._scheduled.up_to(self.now(), BATCH)
        for id in due:
            job = self._jobs[id]
            fields = {"state": State.QUEUED, "reason": "due", "updated_at": self.now(), "version": job.version + 1}
            self._move(job, replace(job, **fields))
        return bool(due)

    def _ready_jobs(self, queues: Sequence[str], limit: int) -> list[Job]:
        """The next jobs in order, without those whose deadline has passed."""
        now = self.now()
        queued = (self._jobs[id] for queue in dict.fromkeys(queues) for id in self._queues.get(queue, ()))
        ready = (job for job in queued if job.attempt or job.start_by is None or job.start_by > now)
        return list(islice(ready, limit))

    def _start(self, job: Job, token: str) -> Job:
        started = replace(
            job,
            state=State.RUNNING,
            reason="claimed",
            token=token,
            attempt=job.attempt + 1,
            started_at=self.now(),
            updated_at=self.now(),
            version=job.version + 1,
        )
        self._move(job, started)
        return started

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        with self._lock:
            return [self._report(beat) for beat in beats]

    def _report(self, beat: Beat) -> Answer:
        job = self._jobs.get(beat.id)
        if job is None or job.state is not State.RUNNING or job.token != beat.token:
            return Answer.LOST
        if beat.progress is not None:
            self._jobs[beat.id] = replace(job, progress=beat.progress, version=job.version + 1)
        self._append_log(beat.id, beat.log)
        return Answer.OK if job.cancel_requested_at is None else Answer.CANCEL

    def _append_log(self, id: str, lines: Sequence[LogLine]) -> None:
        if lines:
            self._logs[id] = [*self._logs.get(id, ()), *lines][-LOG_LINES_KEPT:]

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        with self._lock:
            answers = [self._apply(change) for change in changes]
        self._changed.ring()
        self._ready.ring()
        return answers

    def _apply(self, change: Change) -> Job | Stale:
        job = self._jobs.get(change.job.id)
        if job is None:
            return Stale(None)
        if not self._holds(change, job):
            told_before = change.outcome and job.token == change.guard.token and job.state is not State.RUNNING
            return job if told_before else Stale(job)
        after = replace(job, **change.fields, version=job.version + 1)
        if job.unique_key is not None:
            key = (job.type, job.unique_key)
            if after.done and self._unique.get(key) == job.id:
                del self._unique[key]
            elif job.done and not after.done:
                holder = self._unique.setdefault(key, job.id)
                if holder != job.id:
                    return Stale(job, holder)
        self._append_log(job.id, change.log)
        self._move(job, after)
        return after

    def _holds(self, change: Change, job: Job) -> bool:
        guard = change.guard
        return (
            job.state is guard.state
            and (guard.token is None or job.token == guard.token)
            and not (guard.uncancelled and job.cancel_requested_at is not None)
            and not (guard.lapsed and not self._lapsed(worker_of(job.token)))
        )

    def _lapsed(self, worker: str) -> bool:
        known = self._workers.get(worker)
        return known is None or known.lease_end <= self.now()

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        with self._lock:
            return [self._jobs.get(id) for id in ids]

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        with self._lock:
            return self._logs.get(id, [])[after:]

    async def counts(self) -> Counts:
        with self._lock:
            states = dict.fromkeys(State, 0)
            for job in self._jobs.values():
                states[job.state] += 1
            return Counts(states, {name: len(queue) for name, queue in self._queues.items() if len(queue)})

    async def rescuable(self, limit: int) -> list[Job]:
        with self._lock:
            for id, known in list(self._workers.items()):
                if not known.held and known.lease_end <= self.now() - (FORGET_LAPSED if known.lease_end else 0):
                    del self._workers[id]
            over = sorted((known.lease_end, id) for id, known in self._workers.items() if self._lapsed(id))
            ids = (id for _, worker in over for id in self._workers[worker].held)
            return [self._jobs[id] for id in islice(ids, limit)]

    async def overdue(self, limit: int) -> list[Job]:
        with self._lock:
            return [self._jobs[id] for id in self._deadlines.up_to(self.now(), limit)]

    async def purge(self, limit: int) -> int:
        with self._lock:
            ids = self._kept.up_to(self.now(), limit)
            for id in ids:
                job = self._jobs.pop(id)
                self._leave(job)
                self._logs.pop(id, None)
            return len(ids)

    async def changes(self, after: str | None, timeout: float) -> Changes:
        if after is None:
            return Changes([], str(self._entry_count))
        with self._changed.listening() as rung:
            if after == str(self._entry_count):
                await asyncio.wait([rung], timeout=timeout)
        with self._lock:
            cursor = str(self._entry_count)
            behind = self._entry_count - int(after) if after.isdecimal() else -1
            if not 0 <= behind <= len(self._entries):
                return Changes([], cursor, reset=True)
            return Changes(list(self._entries)[len(self._entries) - behind :], cursor)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        with self._ready.listening() as rung:
            with self._lock:
                ready = self._ready_jobs(queues, 1)
            if not ready:
                await asyncio.wait([rung], timeout=timeout)

    async def check(self) -> list[Finding]:
        with self._lock:
            fresh = MemoryStore(self._clock)
            fresh._workers = {id: Holding(known.worker, known.lease_end) for id, known in self._workers.items()}
            findings = []
            for job in self._jobs.values():
                if job.state is State.RUNNING and job.worker not in fresh._workers:
                    findings.append(Finding(job.id, f"running under {job.worker}, which is not known"))
                    continue
                fresh._enter(job)
                unique = job.unique_key is not None and not job.done
                if unique and self._unique.get((job.type, job.unique_key or "")) != job.id:
                    findings.append(Finding(job.id, "live, but its unique key is not its own"))
            return findings + self._differences(fresh)

    def _differences(self, fresh: MemoryStore) -> list[Finding]:
        pairs = [
            ("scheduled", self._scheduled, fresh._scheduled),
            ("deadlines", self._deadlines, fresh._deadlines),
            ("kept", self._kept, fresh._kept),
        ]
        for name in self._queues.keys() | fresh._queues.keys():
            pairs.append((f"queue {name}", self._queues.get(name, Index()), fresh._queues.get(name, Index())))
        findings = []
        for name, index, wanted in pairs:
            findings += [Finding(id, f"is in {name} and should not be") for _, id in index.pairs() - wanted.pairs()]
            findings += [Finding(id, f"is missing in {name}") for _, id in wanted.pairs() - index.pairs()]
        for id, known in self._workers.items():
            wrong = known.held.keys() ^ fresh._workers[id].held.keys()
            findings += [Finding(job, f"held by worker {id} in one place only") for job in wrong]
        for (type, key), holder in self._unique.items():
            if holder not in self._jobs or self._jobs[holder].done:
                findings.append(Finding(holder, f"holds the unique key {type}/{key} and is not live"))
        return findings

    async def health(self) -> Health:
        return Health(backend="memory", durability="nothing outlives the process", durable=False)
