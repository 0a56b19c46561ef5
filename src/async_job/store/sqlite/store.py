"""The store in one SQLite file: nothing to install, and nothing that was acknowledged is lost, not even by a power cut.

Any number of processes on one machine may use the file. This is the side that the event loop sees; the writer and the
reader sit in threads of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import apsw

from async_job.clock import Clock, SystemClock
from async_job.core.job import Change, Job, LogLine
from async_job.errors import ForkError, StoreBroken, StoreUnavailable
from async_job.store.bell import Bell
from async_job.store.codec import USUAL_LIMITS, LogLimits
from async_job.store.group_commit import results
from async_job.store.protocol import (
    BATCH,
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
from async_job.store.sqlite.administration import SqliteAdministration
from async_job.store.sqlite.announce import Announcer
from async_job.store.sqlite.check import check
from async_job.store.sqlite.lane import D, Lane
from async_job.store.sqlite.outbox import SqliteOutbox
from async_job.store.sqlite.reader import Reader
from async_job.store.sqlite.repair import repair
from async_job.store.sqlite.writer import Writer

LOOK_EACH: Final = 0.25
"""Seconds after which one who waits looks for himself whether something has happened."""


class SqliteStore:
    """See ``store.protocol.Store`` for what each method promises."""

    trips = 1

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        namespace: str = "async-job",
        log_limits: LogLimits = USUAL_LIMITS,
    ) -> None:
        self._path = Path(path).resolve()
        self._clock = clock or SystemClock()
        self._namespace = namespace
        self._log_limits = log_limits
        self._changed = Bell()
        self._ready = Bell()
        self._pid = os.getpid()
        self._writer: Lane[Writer] | None = None
        self._reader: Lane[Reader] | None = None
        self._announcer: Announcer | None = None
        self.administration = SqliteAdministration(self._write, self._read)
        self.outbox = SqliteOutbox(self._write, self._read)

    def now(self) -> int:
        return self._clock.now()

    async def open(self) -> None:
        self._refuse_fork()
        if self._writer is not None:
            return
        path = self._path
        announcer = Announcer(path)
        writer: Lane[Writer] = Lane("writer", self._wrote)
        reader: Lane[Reader] = Lane("reader")
        try:
            await writer.open(lambda: Writer(path, self._clock, self._namespace, announcer, self._log_limits))
            await reader.open(lambda: Reader(path, self._clock))
        except BaseException:
            announcer.close()
            await writer.close()
            await reader.close()
            raise
        announcer.listen(self._heard)
        self._writer, self._reader, self._announcer = writer, reader, announcer
        self._pid = os.getpid()

    async def close(self) -> None:
        self._refuse_fork()
        writer, reader, announcer = self._writer, self._reader, self._announcer
        self._writer = self._reader = self._announcer = None
        if writer is not None and reader is not None and announcer is not None:
            async with AsyncExitStack() as last_first:
                last_first.callback(self._changed.ring)
                last_first.callback(self._ready.ring)
                last_first.callback(announcer.close)
                last_first.push_async_callback(reader.close)
                last_first.push_async_callback(writer.close)

    def _refuse_fork(self) -> None:
        if self._writer is not None and os.getpid() != self._pid:
            raise ForkError(
                f"the store {self._path} was opened in process {self._pid} and cannot be used after a fork: "
                "make and open a store in the new process"
            )

    def _opened(self, lane: Lane[D] | None) -> Lane[D]:
        self._refuse_fork()
        if lane is None:
            raise StoreUnavailable(f"the store {self._path} is not open")
        return lane

    def _wrote(self, writer: Writer) -> None:
        if writer.changed:
            self._changed.ring()
        if writer.ready:
            self._ready.ring()
        if writer.has_more_to_do and self._writer is not None:
            self._writer.post(writer.do_more)

    def _heard(self, message: bytes) -> None:
        self._changed.ring()
        if message == b"ready":
            self._ready.ring()

    async def _write(self, method: str, argument: Any, items: int = 1) -> Any:
        return await self._opened(self._writer).call(method, argument, items)

    async def _write_all(self, method: str, items: Sequence[Any], contents: Sequence[bytes] = ()) -> list[Any]:
        return await self._opened(self._writer).call_each(method, items, contents)

    async def _read(self, method: str, argument: Any = None, items: int = 1) -> Any:
        return await self._opened(self._reader).call(method, argument, items)

    async def submit(self, jobs: Sequence[Job], keys: Sequence[IdempotencyKey | None] = ()) -> list[Submitted]:
        return await self._write_all("submit", list(zip_longest(jobs, keys)), [job.input for job in jobs])

    async def enroll(self, worker: Worker, lease: int) -> None:
        await self._write("enroll", (worker, lease))

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        answers: list[bool] = await self._write("extend", (workers, lease), len(workers))
        return answers

    async def retire(self, worker: str) -> list[Job]:
        jobs: list[Job] = await self._write("retire", worker)
        return jobs

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        claimed: Claimed = await self._write("claim", (claim_id, queues, limit), limit)
        return claimed

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        return await self._write_all("report", beats)

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        return await self._write_all("apply", changes, results(changes))

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        jobs: list[Job | None] = await self._read("get", ids, len(ids))
        return jobs

    async def scan(
        self, index: Index, after: Place | None, limit: int, newest: bool = False
    ) -> list[tuple[Place, Job | None]]:
        found: list[tuple[Place, Job | None]] = await self._read("scan", (index, after, limit, newest), limit)
        return found

    async def ahead(self, id: str) -> int | None:
        n: int | None = await self._read("ahead", id)
        return n

    async def delete(self, ids: Sequence[str]) -> list[Job | None]:
        return await self._write_all("delete", ids)

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        lines: list[LogLine] = await self._read("log", (id, after))
        return lines

    async def counts(self) -> Counts:
        counts: Counts = await self._read("counts")
        return counts

    async def due(self) -> Due:
        due: Due = await self._read("due", None)
        return due

    async def rescuable(self, limit: int) -> list[Job]:
        jobs: list[Job]
        jobs, forgettable = await self._read("rescuable", limit)
        if forgettable:
            await self._write("forget", None)
        return jobs

    async def overdue(self, limit: int) -> list[Job]:
        jobs: list[Job] = await self._read("overdue", limit)
        return jobs

    async def purge(self, limit: int) -> int:
        jobs: int
        keys: int
        purged = 0
        while True:
            batch = min(BATCH, limit - purged)
            jobs, keys = await self._write("purge", batch, BATCH)
            purged += jobs
            if (jobs < batch or purged == limit) and keys < BATCH:
                return purged

    async def changes(self, after: str | None, timeout: float, along: Sequence[str] = ()) -> Changes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            with self._changed.listening() as ring:
                found: Changes = await self._read("changes", (after, along), len(along) or 1)
                left = deadline - loop.time()
                if after is None or found.entries or found.reset or left <= 0:
                    return found
                await asyncio.wait([ring], timeout=min(left, LOOK_EACH))

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        first_due: int | None = None
        rung = looked = False
        while not rung:
            with self._ready.listening() as ring:
                ready, next_due = await self._read("wait", queues, len(queues))
                left = deadline - loop.time()
                if ready or left <= 0 or (looked and next_due != first_due):
                    return
                first_due, looked = next_due, True
                await asyncio.wait([ring], timeout=min(left, LOOK_EACH))
                rung = ring.done()

    async def check(self) -> list[Finding]:
        self._opened(self._reader)
        return await asyncio.to_thread(check, self._path)

    async def repair(self) -> None:
        self._opened(self._reader)
        await asyncio.to_thread(repair, self._path, self.now())

    async def health(self) -> Health:
        now = self.now()
        await self._write("health", now)
        found = await self._read("health")
        if int(found) < now:
            raise StoreBroken(f"{self._path} does not give back what was written into it")
        return Health(
            backend=f"sqlite {apsw.sqlite_lib_version()}",
            durability="nothing that was acknowledged is lost, not even by a power cut (synchronous=FULL)",
            durable=True,
        )
