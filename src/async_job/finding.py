"""Lists of jobs: pages of several indexes of the store, merged.

A store reads each index in its own order. A list over several takes, again and again, the job with the newest (or
oldest) id among their next ones; ids are ordered by time. What is filtered out has to be read as well, so a page looks
at no more than ``MOST_SCANNED`` jobs, and says when it stopped there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from typing import Final

import msgspec
from msgspec import Struct

from async_job.core.job import Job, State
from async_job.core.query import Query
from async_job.errors import InvalidOptions
from async_job.store.protocol import Index, Place, Store

MOST_SCANNED: Final = 1_000
READ_AT_ONCE: Final = 100
HIGHEST: Final = 2**63
"""A place's score is a 64-bit number."""


class Page(Struct, frozen=True):
    """A part of a list. ``next_cursor`` continues it; ``None``: that was the end. Not ``complete``: it stopped looking
    before the page was full, and there may be more behind the cursor even if ``jobs`` is empty."""

    jobs: list[Job]
    next_cursor: str | None
    complete: bool


class Stream:
    """One index, read in batches."""

    def __init__(self, store: Store, index: Index, after: Place | None, newest: bool) -> None:
        self.index = index
        self.after = after
        self._store = store
        self._newest = newest
        self._read: deque[tuple[Place, Job | None]] = deque()
        self._ended = False

    async def peek(self) -> str | None:
        """The id of the next job; ``None``: there is none."""
        if not self._read and not self._ended:
            last = self.after
            batch = await self._store.scan(self.index, last, READ_AT_ONCE, self._newest)
            self._read.extend(batch)
            self._ended = len(batch) < READ_AT_ONCE
        return self._read[0][0].id if self._read else None

    def take(self) -> Job | None:
        """The job that ``peek`` has shown, ``None`` if it cannot be read; the stream goes on behind it."""
        self.after, job = self._read.popleft()
        return job


async def find(store: Store, query: Query, cursor: str | None, limit: int) -> Page:
    """Up to ``limit`` jobs that fit the query, from where the cursor of the page before says.

    Raises:
        InvalidOptions: the cursor is none, or belongs to another query.
    """
    streams = await _streams(store, query, _read_cursor(cursor))
    found: list[Job] = []
    scanned = 0
    while len(found) < limit and scanned < MOST_SCANNED:
        stream = await _next(streams, query.newest)
        if stream is None:
            return Page(found, None, complete=True)
        job = stream.take()
        scanned += 1
        if job is not None and query.fits(job):
            found.append(job)
    if await _next(streams, query.newest) is None:
        return Page(found, None, complete=True)
    return Page(found, _write_cursor(streams), complete=len(found) == limit)


async def _streams(store: Store, query: Query, places: dict[str, Place]) -> list[Stream]:
    """One for each index in which a job can fit. An index that the cursor does not name is read from its start."""
    indexes = [Index(state) for state in query.wanted_states() if state is not State.QUEUED]
    if State.QUEUED in query.wanted_states():
        if query.queue is not None:
            queues = [query.queue]
        else:
            queues = [queue.name for queue in await store.administration.queues()]
        indexes += [Index(State.QUEUED, queue) for queue in queues]
    return [Stream(store, index, places.get(_name(index)), query.newest) for index in indexes]


async def _next(streams: list[Stream], newest: bool) -> Stream | None:
    """The stream whose next job comes first."""
    heads = await asyncio.gather(*(stream.peek() for stream in streams))
    waiting = [(id, stream) for id, stream in zip(heads, streams, strict=True) if id is not None]
    if not waiting:
        return None
    best = max if newest else min
    return best(waiting, key=lambda head: head[0])[1]


def _name(index: Index) -> str:
    return f"{index.state}/{index.queue}"


def _write_cursor(streams: list[Stream]) -> str:
    places = {_name(stream.index): stream.after for stream in streams if stream.after is not None}
    return base64.urlsafe_b64encode(msgspec.json.encode(places)).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> dict[str, Place]:
    if cursor is None:
        return {}
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        places = msgspec.json.decode(text, type=dict[str, Place])
        if not all(-HIGHEST <= place.score < HIGHEST for place in places.values()):
            raise ValueError("a place is out of range")
        return places
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise InvalidOptions("the cursor is none that a page gave; leave it out to begin anew", "cursor") from error
