"""Waits for jobs to change: one reader of the change log for everybody who waits on this loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from async_job.core.job import FINISHED, Job
from async_job.errors import StoreBroken, StoreError, StoreUnavailable
from async_job.logs import get_logger
from async_job.store.protocol import Entry, Store

REREAD: Final = 1.0
"""Seconds after which a waiter's job is read again in any case: a lost entry costs time, never a hang."""

ALONG: Final = 4
"""So many jobs at most are read along with each piece of the change log; of more, only those that it names."""

Wanted = Callable[[Job], bool] | None
"""How somebody wants a job to be; ``None``: ended, whatever the end."""

log = get_logger()


class Waiter:
    """Somebody who waits until a job is as wanted."""

    __slots__ = ("future", "id", "wanted")

    def __init__(self, id: str, wanted: Wanted, future: asyncio.Future[Job | None]) -> None:
        self.id = id
        self.wanted = wanted
        self.future = future

    def may_want(self, entry: Entry) -> bool:
        """Whether it is worth reading the job: while it goes on, there is no need to for who waits for its end."""
        return self.wanted is not None or entry.state in FINISHED

    def look(self, job: Job | None) -> None:
        """Wakes the one who waits, if the job is as wanted."""
        as_wanted = job is None or (job.done if self.wanted is None else self.wanted(job))
        if as_wanted and not self.future.done():
            self.future.set_result(job)


class Watcher:
    """Reads the change log while anybody waits, and stops when nobody does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, list[Waiter]] = {}
        self._listening: set[asyncio.Future[None]] = set()
        self.reads = 0
        """How often the log was read with something new in it."""
        self._task: asyncio.Task[None] | None = None

    async def wait(self, id: str, wanted: Wanted, timeout: float | None) -> Job | None:
        """The job as soon as it is as wanted, or as it is when ``timeout`` seconds have passed. ``None``: not there."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(id, wanted, loop.create_future())
        self._waiting.setdefault(id, []).append(waiter)
        try:
            if self._task is None:
                self._task = loop.create_task(self._watch())
            else:
                await self._look([id])
            done, _ = await asyncio.wait([waiter.future], timeout=timeout)
            if done:
                return waiter.future.result()
        finally:
            self._forget(waiter)
        return (await self._store.get([id]))[0]

    async def changed(self, reads: int, timeout: float) -> bool:
        """Whether any job has changed since ``reads`` were made, or does within ``timeout`` seconds. It may be told for
        nothing."""
        if self.reads != reads:
            return True
        loop = asyncio.get_running_loop()
        listening: asyncio.Future[None] = loop.create_future()
        self._listening.add(listening)
        if self._task is None:
            self._task = loop.create_task(self._watch())
        try:
            done, _ = await asyncio.wait([listening], timeout=timeout)
            return bool(done)
        finally:
            self._listening.discard(listening)

    def _forget(self, waiter: Waiter) -> None:
        waiters = self._waiting.get(waiter.id, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiting.pop(waiter.id, None)

    async def _watch(self) -> None:
        """The loop. Everybody's job is read at the start, and again whenever a second has gone by."""
        cursor: str | None = None
        reread_at = 0.0
        loop = asyncio.get_running_loop()
        try:
            while self._waiting or self._listening:
                try:
                    along = list(self._waiting) if len(self._waiting) <= ALONG else []
                    changes = await self._store.changes(cursor, REREAD, along)
                    everything = changes.reset or loop.time() >= reread_at
                    concerned = list(self._waiting) if everything else self._concerned(changes.entries)
                    await self._look(concerned, changes.jobs)
                    if cursor is None or changes.reset or changes.entries:
                        self._tell()
                    cursor = changes.cursor
                    reread_at = loop.time() + REREAD if everything else reread_at
                except StoreError as error:
                    log.warning("cannot read the change log, trying again", error=str(error))
                    await asyncio.sleep(REREAD)
        except Exception as error:
            self._fail(error)
            raise
        finally:
            self._task = None

    def _concerned(self, entries: Sequence[Entry]) -> list[str]:
        """The jobs among these that somebody may want as they are now."""
        may = {entry.id for entry in entries for waiter in self._waiting.get(entry.id, ()) if waiter.may_want(entry)}
        return list(may)

    async def _look(self, ids: list[str], known: Mapping[str, Job | None] = MappingProxyType({})) -> None:
        """Reads these jobs, unless they are ``known``, and wakes those whose wish has come true."""
        for id in ids:
            if id in known:
                self._show(id, known[id])
        watched = [id for id in ids if id in self._waiting and id not in known]
        if not watched:
            return
        try:
            jobs = await self._store.get(watched)
        except StoreBroken as error:
            await self._look_apart(watched, error)
            return
        for id, job in zip(watched, jobs, strict=True):
            self._show(id, job)

    def _show(self, id: str, job: Job | None) -> None:
        for waiter in self._waiting.get(id, ()):
            waiter.look(job)

    async def _look_apart(self, ids: list[str], error: StoreBroken) -> None:
        """Who waits for a job that cannot be read is told so, and nobody else."""
        if len(ids) > 1:
            for id in ids:
                await self._look([id])
            return
        for waiter in self._waiting.get(ids[0], []):
            if not waiter.future.done():
                waiter.future.set_exception(error)

    def _tell(self) -> None:
        """Wakes those who wait for any change."""
        self.reads += 1
        for listening in self._listening:
            if not listening.done():
                listening.set_result(None)

    def _fail(self, error: Exception) -> None:
        """Nobody may wait for a reader that is gone."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(error)
        self._tell()

    async def close(self) -> None:
        """Ends the loop; who still waits gets a ``StoreUnavailable``."""
        self._fail(StoreUnavailable("the store was closed while somebody waited for a job"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
