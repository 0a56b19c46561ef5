"""Queues, workers and documents in Redis; see ``store.administration``."""

from __future__ import annotations

from typing import Any

from async_job.store import codec
from async_job.store.administration import QueueInfo, WorkerInfo
from async_job.store.protocol import Worker
from async_job.store.redis.keys import Keys
from async_job.store.redis.record import Field, text
from async_job.store.redis.trips import Trips


class RedisAdministration:
    def __init__(self, trips: Trips, keys: Keys) -> None:
        self._trips = trips
        self._keys = keys

    async def queues(self) -> list[QueueInfo]:
        def read(reply: list[Any]) -> list[QueueInfo]:
            return [_queue(*row) for row in reply[1:]]

        queues: list[QueueInfo] = await self._trips.run("queues", read, (self._keys.paused, self._keys.started))
        return sorted(queues, key=lambda queue: queue.name)

    async def pause(self, queue: str) -> None:
        await self._trips.run("pause", lambda reply: None, (self._keys.paused,), [queue])

    async def resume(self, queue: str) -> None:
        keys = (self._keys.paused, self._keys.wake(queue))
        await self._trips.run("resume", lambda reply: None, keys, [queue])

    async def workers(self) -> list[WorkerInfo]:
        workers: list[WorkerInfo] = await self._trips.run("workers", lambda reply: [_worker(*row) for row in reply[1:]])
        return sorted(workers, key=lambda info: info.worker.id)

    async def documents(self, kind: str) -> dict[str, bytes]:
        flat: list[bytes] = await self._trips.command("HGETALL", self._keys.documents(kind))
        return {text(id): value for id, value in zip(flat[::2], flat[1::2], strict=True)}

    async def put_document(self, kind: str, id: str, value: bytes) -> None:
        # A script, because they run on a server that is full: a key can be revoked there.
        await self._trips.run("put_document", lambda reply: None, (self._keys.documents(kind),), [id, value])

    async def delete_document(self, kind: str, id: str) -> bool:
        removed: int = await self._trips.command("HDEL", self._keys.documents(kind), id)
        return removed > 0


def worker_fields(worker: Worker) -> list[Field]:
    """Who a worker is, names and values in turn."""
    fields: list[Field] = ["host", worker.host, "pid", worker.pid, "started_at", worker.started_at]
    fields += ("queues", codec.encode(worker.queues), "concurrency", worker.concurrency, "version", worker.version)
    return fields


def _worker(id: bytes, lease_end: bytes, running: int, fields: list[bytes]) -> WorkerInfo:
    host, pid, started_at, queues, concurrency, version = fields
    worker = Worker(
        id=text(id),
        host=text(host),
        pid=int(pid),
        started_at=int(started_at),
        queues=codec.decode_queues(queues),
        concurrency=int(concurrency),
        version=text(version),
    )
    return WorkerInfo(worker=worker, lease_end=int(lease_end), running=running)


def _queue(name: bytes, queued: int, paused: int, ready_since: bytes, started: bytes) -> QueueInfo:
    return QueueInfo(
        name=text(name),
        queued=queued,
        paused=paused == 1,
        ready_since=int(ready_since) if ready_since else None,
        started=int(started),
    )
