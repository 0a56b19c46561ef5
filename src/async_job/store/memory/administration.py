"""Queues, workers and documents of the memory store; see ``store.administration``."""

from __future__ import annotations

from threading import RLock

from async_job.store.administration import QueueInfo, WorkerInfo
from async_job.store.bell import Bell
from async_job.store.memory.index import Index
from async_job.store.memory.table import Table


class MemoryAdministration:
    """``ready`` is rung when there may be more to claim."""

    def __init__(self, table: Table, lock: RLock, ready: Bell) -> None:
        self._table = table
        self._lock = lock
        self._ready = ready

    async def queues(self) -> list[QueueInfo]:
        table = self._table
        with self._lock:
            filled = {name for name, queue in table.queues.items() if len(queue)}
            return [self._queue(name) for name in sorted(filled | table.paused | table.started.keys())]

    def _queue(self, name: str) -> QueueInfo:
        queue = self._table.queues.get(name, Index())
        first = queue.first()
        return QueueInfo(
            name=name,
            queued=len(queue),
            paused=name in self._table.paused,
            ready_since=None if first is None else self._table.jobs[first[1]].scheduled_for,
            started=self._table.started.get(name, 0),
        )

    async def pause(self, queue: str) -> None:
        with self._lock:
            self._table.paused.add(queue)

    async def resume(self, queue: str) -> None:
        with self._lock:
            self._table.paused.discard(queue)
        self._ready.ring()

    async def workers(self) -> list[WorkerInfo]:
        with self._lock:
            known = sorted(self._table.workers.items())
            return [
                WorkerInfo(worker=holding.worker, lease_end=holding.lease_end, running=len(holding.held))
                for _, holding in known
            ]

    async def documents(self, kind: str) -> dict[str, bytes]:
        with self._lock:
            return dict(self._table.documents.get(kind, {}))

    async def put_document(self, kind: str, id: str, value: bytes) -> None:
        with self._lock:
            self._table.documents.setdefault(kind, {})[id] = value

    async def delete_document(self, kind: str, id: str) -> bool:
        with self._lock:
            return self._table.documents.get(kind, {}).pop(id, None) is not None
