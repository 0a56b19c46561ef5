"""Queues, workers and documents in the file; see ``store.administration``.

A class for each thread: what the event loop sees, what the writer does for it, and what the reader does.
"""

from __future__ import annotations

import apsw

from async_job.store import codec
from async_job.store.administration import QueueInfo, WorkerInfo
from async_job.store.protocol import Worker
from async_job.store.sqlite.lane import Call, Methods
from async_job.store.sqlite.statements import SQL


class SqliteAdministration:
    def __init__(self, write: Call, read: Call) -> None:
        self._write = write
        self._read = read

    async def queues(self) -> list[QueueInfo]:
        queues: list[QueueInfo] = await self._read("queues", None)
        return queues

    async def pause(self, queue: str) -> None:
        await self._write("pause", queue)

    async def resume(self, queue: str) -> None:
        await self._write("resume", queue)

    async def workers(self) -> list[WorkerInfo]:
        workers: list[WorkerInfo] = await self._read("workers", None)
        return workers

    async def documents(self, kind: str) -> dict[str, bytes]:
        documents: dict[str, bytes] = await self._read("documents", kind)
        return documents

    async def put_document(self, kind: str, id: str, value: bytes) -> None:
        await self._write("put_document", (kind, id, value))

    async def delete_document(self, kind: str, id: str) -> bool:
        removed: bool = await self._write("delete_document", (kind, id))
        return removed


class AdministrationWriter:
    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute
        self.methods: Methods = {
            "pause": self.pause,
            "put_document": self.put_document,
            "delete_document": self.delete_document,
        }

    def pause(self, queue: str) -> None:
        self._execute(SQL["administration.pause"], (queue,))

    def resume(self, queue: str) -> None:
        self._execute(SQL["administration.resume"], (queue,))

    def put_document(self, document: tuple[str, str, bytes]) -> None:
        self._execute(SQL["administration.put_document"], document)

    def delete_document(self, place: tuple[str, str]) -> bool:
        return self._execute(SQL["administration.delete_document"], place).get is not None


class AdministrationReader:
    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute
        self.methods: Methods = {"queues": self.queues, "workers": self.workers, "documents": self.documents}

    def queues(self, _: None) -> list[QueueInfo]:
        return [
            QueueInfo(name=name, queued=queued, paused=bool(paused), ready_since=ready_since, started=started)
            for name, queued, paused, started, ready_since in self._execute(SQL["administration.queues"])
        ]

    def workers(self, _: None) -> list[WorkerInfo]:
        workers = []
        for *fields, lease_end, running in self._execute(SQL["administration.workers"]):
            id, host, pid, started_at, queues, concurrency, version = fields
            worker = Worker(
                id=id,
                host=host,
                pid=pid,
                started_at=started_at,
                queues=codec.decode_queues(queues),
                concurrency=concurrency,
                version=version,
            )
            workers.append(WorkerInfo(worker=worker, lease_end=lease_end, running=running))
        return workers

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(self._execute(SQL["administration.documents"], (kind,)))
