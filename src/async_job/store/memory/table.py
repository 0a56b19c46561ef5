"""The jobs with their indexes, and what belongs to them. Not guarded: whoever holds it holds the store's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from async_job.core.delivery import Delivery, DeliveryState
from async_job.core.job import Job, LogLine, State
from async_job.store.codec import USUAL_LIMITS, LogLimits, log_bytes
from async_job.store.memory.index import Index
from async_job.store.protocol import Entry, IdempotencyKey, Worker

CHANGES_KEPT: Final = 10_000


class Holding:
    """A worker as the store knows it: its lease's end (0: retired), its last claim, and the ids it holds."""

    def __init__(self, worker: Worker, lease_end: int) -> None:
        self.worker = worker
        self.lease_end = lease_end
        self.last_claim = 0
        self.held: dict[str, None] = {}


class Table:
    """Everything that a memory store remembers."""

    def __init__(self, limits: LogLimits = USUAL_LIMITS) -> None:
        self._limits = limits
        self.jobs: dict[str, Job] = {}
        self.logs: dict[str, list[LogLine]] = {}
        self.queues: dict[str, Index] = {}
        self.scheduled = Index()
        self.deadlines = Index()
        self.kept = Index()
        self.ended: dict[State, Index] = {}
        self.started: dict[str, int] = {}
        self.paused: set[str] = set()
        self.workers: dict[str, Holding] = {}
        self.unique: dict[tuple[str, str], str] = {}
        self.idempotency: dict[str, tuple[IdempotencyKey, str]] = {}
        self.documents: dict[str, dict[str, bytes]] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.due_deliveries = Index()
        self.entries: deque[Entry] = deque(maxlen=CHANGES_KEPT)
        self.entry_count = 0

    def enter(self, job: Job) -> None:
        """Puts the job into the indexes of its state."""
        if job.state is State.QUEUED:
            self.queues.setdefault(job.queue, Index()).add(job.rank, job.id)
        elif job.state is State.SCHEDULED:
            self.scheduled.add(job.scheduled_for, job.id)
        elif job.state is State.RUNNING:
            self.workers[job.worker].held[job.id] = None
        else:
            self.ended.setdefault(job.state, Index()).add(job.finished_at or 0, job.id)
            if job.kept_until is not None:
                self.kept.add(job.kept_until, job.id)
        if not job.done and not job.attempt and job.start_by is not None:
            self.deadlines.add(job.start_by, job.id)

    def leave(self, job: Job) -> None:
        """Takes the job out of the indexes of its state."""
        if job.state is State.QUEUED:
            self.queues[job.queue].remove(job.rank, job.id)
        elif job.state is State.SCHEDULED:
            self.scheduled.remove(job.scheduled_for, job.id)
        elif job.state is State.RUNNING:
            self.workers[job.worker].held.pop(job.id, None)
        else:
            self.ended[job.state].remove(job.finished_at or 0, job.id)
            if job.kept_until is not None:
                self.kept.remove(job.kept_until, job.id)
        if job.start_by is not None:
            self.deadlines.remove(job.start_by, job.id)

    def add(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.enter(job)
        self.record(job)

    def move(self, before: Job, after: Job) -> None:
        self.leave(before)
        self.add(after)

    def remove(self, id: str) -> None:
        """Removes the job and all that belongs to it."""
        self.leave(self.jobs.pop(id))
        self.logs.pop(id, None)
        for delivery in [delivery for delivery in self.deliveries.values() if delivery.job_id == id]:
            del self.deliveries[delivery.id]
            self.due_deliveries.remove(delivery.due_at, delivery.id)

    def record(self, job: Job) -> None:
        self.entries.append(Entry(job.id, job.version, job.state, job.reason))
        self.entry_count += 1

    def append_log(self, id: str, lines: Sequence[LogLine]) -> None:
        if not lines:
            return
        log = [*self.logs.get(id, ()), *lines][-self._limits.lines :]
        left = self._limits.bytes
        first = len(log)
        while first and (left := left - log_bytes(log[first - 1])) >= 0:
            first -= 1
        self.logs[id] = log[first:]

    def put_delivery(self, delivery: Delivery) -> None:
        """Writes the delivery, over what is there under its id."""
        before = self.deliveries.get(delivery.id)
        if before is not None:
            self.due_deliveries.remove(before.due_at, before.id)
        self.deliveries[delivery.id] = delivery
        if delivery.state is DeliveryState.PENDING:
            self.due_deliveries.add(delivery.due_at, delivery.id)
