"""The handlers of events: of one job, and of all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import msgspec
from starlette.types import Receive, Scope

from async_job.access.tickets import Tickets
from async_job.core.job import Job
from async_job.errors import JobNotFound
from async_job.job_view import job_path, time
from async_job.jobs import Jobs
from async_job.web.answer import Answer, json_answer
from async_job.web.body import decode, read_json
from async_job.web.caller import key_of, visible
from async_job.web.handlers.lists import convert_query, query_pairs
from async_job.web.job_events import (
    JobEvent,
    JobEvents,
    Log,
    Seen,
    news,
    read_id,
    snapshot,
)
from async_job.web.request import GUID, header, path_job, wants_json
from async_job.web.schemas_streams import AfterQuery, ChangeEvent, ChangePage, NewTicket, TicketView, view_changes
from async_job.web.sse import COMMENT, HEADERS, PAUSE, sse

decode_ticket = msgspec.json.Decoder(NewTicket).decode

FROM_THE_START: Final = Seen(0, 0)


class Streams:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._tickets = Tickets()

    async def of_job(self, scope: Scope, receive: Receive) -> Answer:
        """What happens to the job, as server-sent events: states, the latest progress, lines of its log, its result.

        A stream begins with a snapshot, or goes on after ``Last-Event-ID`` (or ``?after=``), or says ``reset`` if that
        is too old. Of a job's log the newest 1,000 lines are kept, and 256 KiB of them at most. It ends with the job;
        coming back after that gets 204. As JSON it is a page of what happened so far.
        """
        after = _after(scope)
        job = visible(scope, await self._jobs.get(path_job(scope)))
        seen = None if after is None else read_id(after)
        root: str = scope["root_path"]
        first = await self._news(job, seen, root, reset=after is not None)
        if wants_json(scope):
            last = first[-1].id if first else after or ""
            return json_answer(JobEvents(first, last, job.done))
        if seen is not None and seen.ended and not first:
            return Answer(204, [])
        return Answer(200, HEADERS, stream=self._stream(first, seen or FROM_THE_START, job.id, root))

    async def _stream(self, events: list[JobEvent], seen: Seen, id: str, root: str) -> AsyncIterator[bytes]:
        while True:
            if events:
                told = b"".join(sse(event.event, event.data, event.id) for event in events)
                seen = read_id(events[-1].id) or seen
                # Whoever does not read is waited for without them.
                events = []
                yield told
            if seen.ended:
                return
            job = await self._jobs.watch(id, partial(_has_news, seen), PAUSE)
            events = await self._news(job, seen, root, reset=True)
            if not events:
                yield COMMENT

    async def _news(self, job: Job, seen: Seen | None, root: str, reset: bool) -> list[JobEvent]:
        """What is new to somebody who has ``seen`` so much; a snapshot if nobody can say."""
        if seen is not None and seen.version <= job.version and seen.lines <= job.logged:
            job, log = await self._with_log(job, seen.lines)
            events = news(job, log, seen, root)
            if events is not None:
                return events
        return snapshot(*await self._with_log(job, 0), root, reset)

    async def _with_log(self, job: Job, after: int) -> tuple[Job, Log]:
        """The job with its log after so many lines; read again if more came between the one and the other."""
        store = await self._jobs.store()
        while job.logged > after:
            lines = await store.log(job.id, after)
            again = await self._jobs.get(job.id)
            if again.logged == job.logged:
                return job, Log(job.logged - len(lines) + 1, lines)
            job = again
        return job, Log(after + 1, [])

    async def ticket(self, scope: Scope, receive: Receive) -> Answer:
        """Makes a ticket for the stream of one job: good for five minutes and one request, for reading only."""
        settings = self._jobs.settings
        body = await read_json(scope, receive, settings.max_body, settings.body_deadline)
        id = decode(decode_ticket, body).job.lower()
        if not GUID.fullmatch(id):
            raise JobNotFound(id[:100])
        job = visible(scope, await self._jobs.get(id))
        text, expires_at = await self._tickets.issue(await self._jobs.store(), job.id, key_of(scope))
        events = f"{job_path(job.id, scope['root_path'])}/events?ticket={text}"
        ticket = TicketView(ticket=text, job=job.id, expires_at=time(expires_at), events=events)
        return json_answer(ticket, 201, [(b"cache-control", b"no-store")])

    async def of_all(self, scope: Scope, receive: Receive) -> Answer:
        """Each job's changes of state, of all jobs, from now on or after ``Last-Event-ID`` (or ``?after=``)."""
        after = _after(scope)
        store = await self._jobs.store()
        changes = await store.changes(after, 0)
        if wants_json(scope):
            return json_answer(ChangePage(view_changes(changes), changes.cursor, changes.reset))
        return Answer(200, HEADERS, stream=self._changes(after))

    async def _changes(self, cursor: str | None) -> AsyncIterator[bytes]:
        """Each event holds what one read of the change log gave, so that its id stands for all of it."""
        store, watcher = await self._jobs.store(), await self._jobs.watcher()
        while True:
            reads = watcher.reads
            changes = await store.changes(cursor, 0)
            if changes.reset:
                yield sse("reset", ChangeEvent([]), changes.cursor)
            elif changes.entries or cursor is None:
                yield sse("changes", ChangeEvent(view_changes(changes)), changes.cursor)
            elif not await watcher.changed(reads, PAUSE):
                yield COMMENT
            cursor = changes.cursor


def _has_news(seen: Seen, job: Job) -> bool:
    return job.version != seen.version or job.logged > seen.lines


def _after(scope: Scope) -> str | None:
    """Where to go on: what the browser says when it comes back counts before what the address says."""
    given = header(scope, b"last-event-id")
    if given:
        return given.decode("latin-1")
    return convert_query(query_pairs(scope), AfterQuery).after
