"""Reads that wait, each on a connection of its own: the change log, and the wake lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection

from async_job.core.job import Job, State
from async_job.errors import Unreadable
from async_job.store import codec
from async_job.store.protocol import Changes, Entry
from async_job.store.redis.keys import Keys
from async_job.store.redis.link import Link
from async_job.store.redis.record import Field, decode, text

ENTRIES_A_READ: Final = 256
LINKS_KEPT: Final = 4
SHORTEST: Final = 0.001
"""For both commands a timeout of 0 would mean for ever."""


class WaitingReads:
    """Gives each waiting read a connection that nobody else uses meanwhile, and keeps a few for the next."""

    def __init__(self, keys: Keys, connect: Callable[[], Awaitable[AbstractConnection]], patience: float) -> None:
        self._keys = keys
        self._connect = connect
        self._patience = patience
        self._idle: list[Link] = []
        self._closed = False
        self._seen = 0

    async def changes(self, after: str | None, timeout: float, along: Sequence[str]) -> Changes:
        """See ``Store.changes``. Entries are numbered through, job by job: what is missing behind ``after`` was trimmed
        away, and a log that ends before it is another one than it was."""
        number = -1 if after is None else codec.change_number(after)
        async with self._link() as link:
            if number < 0 or number > self._seen:
                # A cursor that this process has not met may be any text; it is looked at before anything waits for it.
                last, jobs = await self._last(link, along)
                if number < 0 or number > last:
                    return Changes([], str(last), after is not None, jobs)
            block = ("BLOCK", max(1, round(timeout * 1000))) if timeout > 0 else ()
            read = ("XREAD", "COUNT", ENTRIES_A_READ, *block, "STREAMS", self._keys.changes, f"0-{number}")
            streams, jobs = await self._ask(link, read, along, max(timeout, 0.0))
            if streams:
                return self._entries(number, streams[0][1], jobs)
            last, _ = await self._last(link, ())
            return Changes([], str(min(last, number)), last < number, jobs)

    async def _ask(
        self, link: Link, command: tuple[Field, ...], along: Sequence[str], block: float = 0.0
    ) -> tuple[Any, dict[str, Job | None]]:
        """The reply, and these jobs as they are then: the server reads them as soon as it has replied, also where that
        had to wait, and sends both together."""
        reads = (("HGETALL", self._keys.job(id)) for id in along)
        reply, *hashes = await link.try_ask(command, *reads, block=block)
        if isinstance(reply, BaseException):
            raise reply
        jobs: dict[str, Job | None] = {}
        for id, fields in zip(along, hashes, strict=True):
            # Who is not given a job asks for it by itself, and hears then what is wrong with it.
            with suppress(Unreadable):
                if not isinstance(fields, BaseException):
                    jobs[id] = decode(id, fields)
        return reply, jobs

    async def _last(self, link: Link, along: Sequence[str]) -> tuple[int, dict[str, Job | None]]:
        last, jobs = await self._ask(link, ("GET", self._keys.changed), along)
        self._seen = int(last or 0)
        return self._seen, jobs

    def _entries(self, after: int, rows: list[tuple[bytes, list[bytes]]], jobs: dict[str, Job | None]) -> Changes:
        last = self._seen = _number(rows[-1])
        if _number(rows[0]) - len(rows[0][1]) // 2 != after:
            return Changes([], str(last), True, jobs)
        return Changes([entry for _, flat in rows for entry in _jobs(flat)], str(last), False, jobs)

    async def wake(self, queues: Sequence[str], timeout: float) -> None:
        async with self._link() as link:
            # Without a queue there is nothing to wait for but the time; some key has to be named.
            lists = [self._keys.wake(queue) for queue in queues] or [self._keys.wake("")]
            block = max(timeout, SHORTEST)
            await link.ask(("BLPOP", *lists, f"{block:.3f}"), block=block)

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        link = self._idle.pop() if self._idle else Link(self._connect, self._patience)
        try:
            yield link
        finally:
            if self._closed or len(self._idle) >= LINKS_KEPT:
                await link.drop()
            else:
                self._idle.append(link)

    async def close(self) -> None:
        self._closed = True
        idle, self._idle = self._idle, []
        for link in idle:
            await link.close()


def _number(row: tuple[bytes, Any]) -> int:
    return int(row[0].partition(b"-")[2])


def _jobs(flat: list[bytes]) -> list[Entry]:
    """An entry of the stream holds ids, each with "version state reason"."""
    entries = []
    for at in range(0, len(flat), 2):
        version, state, reason = text(flat[at + 1]).split(" ", 2)
        entries.append(Entry(text(flat[at]), int(version), State(state), reason))
    return entries
