"""The random programs are worth their time only if they find bugs: here some are planted, and each has to be found."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from async_job.clock import Clock
from async_job.core.job import Change, Job, State
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import BATCH, IdempotencyKey, Index, Place, Stale, Store, Submitted
from support.program import Program
from support.stores import Backend


class WithoutToken(MemoryStore):
    """A late run overwrites a newer one."""

    def _holds(self, change: Change, job: Job) -> bool:
        return super()._holds(replace(change, guard=replace(change.guard, token=None)), job)


class WithoutCancel(MemoryStore):
    """A cancel that comes in between is overlooked."""

    def _holds(self, change: Change, job: Job) -> bool:
        return super()._holds(replace(change, guard=replace(change.guard, uncancelled=False)), job)


class WithoutLease(MemoryStore):
    """A rescue takes jobs away from a worker that has renewed its lease."""

    def _holds(self, change: Change, job: Job) -> bool:
        return super()._holds(replace(change, guard=replace(change.guard, lapsed=False)), job)


class OutcomeTwice(MemoryStore):
    """A repeated outcome is told that it is stale."""

    def _apply(self, change: Change) -> Job | Stale:
        return super()._apply(replace(change, outcome=False))


class KeyKept(MemoryStore):
    """A job that ends keeps its unique key."""

    def _apply(self, change: Change) -> Job | Stale:
        keys = dict(self._table.unique)
        answer = super()._apply(change)
        self._table.unique = keys | self._table.unique
        return answer


class DeadlineKept(MemoryStore):
    """A job that is started stays in the index of deadlines."""

    def _start(self, job: Job, token: str) -> Job:
        started = super()._start(job, token)
        if job.start_by is not None:
            self._table.deadlines.add(job.start_by, job.id)
        return started


class WithoutAging(MemoryStore):
    """A rank that knows the priority only: by a whole day for each step."""

    def _ready_jobs(self, queues: object, limit: int) -> list[Job]:
        ready = super()._ready_jobs(queues, BATCH)  # type: ignore[arg-type]
        return sorted(ready, key=lambda job: (-job.priority, job.scheduled_for, job.id))[:limit]


class PurgeTooMuch(MemoryStore):
    """What is kept for ever goes with the rest."""

    def _apply(self, change: Change) -> Job | Stale:
        answer = super()._apply(change)
        if isinstance(answer, Job) and answer.done and answer.kept_until is None:
            self._table.kept.add(answer.finished_at or 0, answer.id)
        return answer


class OneMillisecondLate(MemoryStore):
    """A lease that ends now still counts."""

    def _lapsed(self, worker: str) -> bool:
        known = self._table.workers.get(worker)
        return known is None or known.lease_end < self.now()


class KeyWithoutFingerprint(MemoryStore):
    """Another submit under the same idempotency key gets the first one's job."""

    def _submit(self, job: Job, key: IdempotencyKey | None) -> Submitted:
        return super()._submit(job, key and replace(key, fingerprint=""))


class KeyForgotten(MemoryStore):
    """An idempotency key goes with its job."""

    def _delete(self, id: str) -> Job | None:
        job = super()._delete(id)
        if job is None:
            idempotency = self._table.idempotency
            self._table.idempotency = {name: kept for name, kept in idempotency.items() if kept[1] != id}
        return job


class KeyTakenInVain(MemoryStore):
    """An idempotency key is kept though the unique key kept its job out."""

    def _submit(self, job: Job, key: IdempotencyKey | None) -> Submitted:
        answer = super()._submit(job, key)
        if key is not None and not answer.created and not answer.replayed and not answer.mismatched:
            self._table.idempotency[key.name] = key, answer.id
        return answer


class PauseOverlooked(MemoryStore):
    """What ran before is given out of a paused queue too."""

    def _ready_jobs(self, queues: Sequence[str], limit: int) -> list[Job]:
        paused = set(self._table.paused)
        self._table.paused -= {job.queue for job in self._table.jobs.values() if job.attempt and not job.done}
        ready = super()._ready_jobs(queues, limit)
        self._table.paused |= paused
        return ready


class DeliveryWithoutChange(MemoryStore):
    """The delivery is written though the guard does not hold."""

    def _apply(self, change: Change) -> Job | Stale:
        for delivery in change.deliveries:
            if delivery.job_id in self._table.jobs:
                self._table.put_delivery(delivery)
        return super()._apply(change)


class PlaceTwice(MemoryStore):
    """A page begins with what the one before ended with."""

    async def scan(
        self, index: Index, after: Place | None, limit: int, newest: bool = False
    ) -> list[tuple[Place, Job | None]]:
        place = Place(after.score, after.id[:-1]) if after is not None and not newest else after
        return await super().scan(index, place, limit, newest)


class DeleteTooMuch(MemoryStore):
    """A job that waits for its next try is deleted too."""

    def _delete(self, id: str) -> Job | None:
        job = self._table.jobs.get(id)
        if job is not None and job.state is State.SCHEDULED:
            self._table.remove(id)
            return None
        return super()._delete(id)


BROKEN = [
    WithoutToken,
    WithoutCancel,
    WithoutLease,
    OutcomeTwice,
    KeyKept,
    DeadlineKept,
    WithoutAging,
    PurgeTooMuch,
    OneMillisecondLate,
    KeyWithoutFingerprint,
    KeyForgotten,
    KeyTakenInVain,
    PauseOverlooked,
    DeliveryWithoutChange,
    PlaceTwice,
    DeleteTooMuch,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_planted_bug_is_found(broken: Callable[[Clock], Store]) -> None:
    class OfBrokenStore(Backend):
        def __init__(self, clock: Clock) -> None:
            self._broken = broken(clock)

        def store(self) -> Store:
            return self._broken

    class OnBrokenStore(Program):
        new_backend = OfBrokenStore

    planted = {name for name in vars(broken) if not name.startswith("__")}
    assert planted <= vars(MemoryStore).keys(), "what is overridden is no longer called"

    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    with pytest.raises((AssertionError, KeyError, ExceptionGroup)):
        run_state_machine_as_test(
            OnBrokenStore,
            settings=settings(
                max_examples=1_000,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=slow,
            ),
        )
