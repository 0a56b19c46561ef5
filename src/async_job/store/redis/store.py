"""The store on Redis ≥ 7.0 or Valkey ≥ 8: hashes, sorted sets, and one script for each transition."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Final

from async_job.clock import Clock, SystemClock
from async_job.core.job import Change, Job, LogLine, State
from async_job.errors import StoreBroken
from async_job.store import codec
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
from async_job.store.readable import Readable
from async_job.store.redis import checker, server, transitions
from async_job.store.redis.administration import RedisAdministration, worker_fields
from async_job.store.redis.connection_string import parse
from async_job.store.redis.connections import Connections
from async_job.store.redis.keys import DEFAULT_NAMESPACE, Keys
from async_job.store.redis.link import Link
from async_job.store.redis.outbox import RedisOutbox
from async_job.store.redis.record import Field, decode, text
from async_job.store.redis.scripts import LOAD
from async_job.store.redis.server_time import ServerTime
from async_job.store.redis.trips import Trips
from async_job.store.redis.waiting import WaitingReads

FORGET_LAPSED: Final = 3_600_000
MOST_AHEAD: Final = 1_000
MOST_PAGES: Final = 16
"""In so many pages jobs are looked for that can be read."""
PATIENCE: Final = 3.0

logger = logging.getLogger(__name__)


class RedisStore:
    """See ``store.protocol.Store`` for what each method promises.

    Calls of many callers share a trip (``Trips``); leases are renewed on a connection of their own, and so is
    every read that waits. ``patience``: for how many seconds a call is repeated before ``StoreUnavailable``.
    ``allow_eviction``: use a server that may throw jobs away when its memory is full. ``log_limits``: what is kept of a
    job's log.
    """

    trips = 2

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        allow_eviction: bool = False,
        log_limits: LogLimits = USUAL_LIMITS,
        patience: float = PATIENCE,
    ) -> None:
        self._address = parse(url)
        self._keys = Keys(namespace)
        self._time = ServerTime(None if isinstance(clock, SystemClock) else clock)
        self._allow_eviction = allow_eviction
        self._connections = Connections(self._address)
        self._link = Link(self._connections.connect, patience)
        self._lease_link = Link(self._connections.connect, patience)
        self._check_link = Link(self._connections.connect, patience)
        self._waiting = WaitingReads(self._keys, self._connections.connect, patience)
        self._trips = Trips(self._link, self._keys, self._time, log_limits)
        self._readable = Readable()
        self.administration = RedisAdministration(self._trips, self._keys)
        self.outbox = RedisOutbox(self._trips, self._keys, self._readable)

    def now(self) -> int:
        return self._time.now()

    async def open(self) -> None:
        self._trips.open()
        for warning in self._address.warnings:
            logger.warning("%s", warning)
        try:
            facts = await server.inspect(self._link)
            server.demand(facts, self._allow_eviction)
            await server.claim_schema(self._link, self._keys)
            await self._link.ask(*LOAD)
            # Any script tells the server's time.
            await self.counts()
        except BaseException:
            await self._link.close()
            raise
        logger.debug("store %r: %s; %s", self._address, facts.backend, facts.durability)

    async def close(self) -> None:
        if self._trips.is_elsewhere:
            return
        await self._trips.close()
        await self._waiting.close()
        for link in (self._link, self._lease_link, self._check_link):
            await link.close()
        await self._connections.close()

    # What goes in groups.

    async def submit(self, jobs: Sequence[Job], keys: Sequence[IdempotencyKey | None] = ()) -> list[Submitted]:
        return await self._trips.send("submit", list(zip_longest(jobs, keys)), [job.input for job in jobs])

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        return await self._trips.send("apply", changes, results(changes))

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        return await self._trips.send("report", beats)

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        return await self._trips.send("get", ids)

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        limit = min(limit, BATCH)
        keys = transitions.claimable(self._keys, claim_id.worker, queues)
        arguments = (claim_id.worker, claim_id.n, limit, claim_id.token)
        read = partial(transitions.claimed, claim_id, self._readable)
        claimed: Claimed = await self._trips.run("claim", read, keys, arguments, items=limit)
        return claimed

    # Leases, on a connection of their own.

    async def enroll(self, worker: Worker, lease: int) -> None:
        self._trips.check_process()
        arguments = (worker.id, lease, *worker_fields(worker))
        await self._lease_link.ask(self._trips.script("enroll", [self._keys.worker(worker.id)], arguments))

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        self._trips.check_process()
        [[now, *held]] = await self._lease_link.ask(self._trips.script("extend", (), (lease, *workers)))
        self._time.seen(now, self._lease_link.sent_at)
        return [bool(one) for one in held]

    async def retire(self, worker: str) -> list[Job]:
        jobs: list[Job] = await self._trips.run("retire", self._jobs, [self._keys.claims(worker)], [worker])
        return jobs

    # Reads.

    async def scan(
        self, index: Index, after: Place | None, limit: int, newest: bool = False
    ) -> list[tuple[Place, Job | None]]:
        if limit < 1:
            return []
        arguments: list[Field] = [min(limit, BATCH), "newest" if newest else ""]
        if after is not None:
            arguments += (after.score, after.id)
        found: list[tuple[Place, Job | None]] = await self._trips.run(
            "scan", self._places, [self._keys.index(index)], arguments
        )
        return found

    async def ahead(self, id: str) -> int | None:
        rank: Any = await self._trips.run("ahead", lambda reply: reply[1], (), [id])
        return min(rank, MOST_AHEAD) if isinstance(rank, int) else None

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        lines: list[bytes] = await self._trips.run("log", lambda reply: reply[1], [self._keys.log(id)], (id, after))
        return [codec.decode_log_line(line) for line in lines]

    async def counts(self) -> Counts:
        def read(reply: list[Any]) -> Counts:
            states = dict.fromkeys(State, 0) | {State(name.decode()): n for name, n in _pairs(reply[1])}
            queued = {text(name): n for name, n in _pairs(reply[2]) if n}
            return Counts(states | {State.QUEUED: sum(queued.values())}, queued)

        counts: Counts = await self._trips.run("counts", read)
        return counts

    async def due(self) -> Due:
        due: Due = await self._trips.run("due", lambda reply: Due(*map(bool, reply[1:])))
        return due

    async def rescuable(self, limit: int) -> list[Job]:
        return await self._first("rescuable", min(limit, BATCH), FORGET_LAPSED)

    async def overdue(self, limit: int) -> list[Job]:
        return await self._first("overdue", min(limit, BATCH))

    async def _first(self, name: str, limit: int, *more: int) -> list[Job]:
        """The first jobs that can be read: those that cannot stay where they are, and must not hide the others."""
        jobs: list[Job] = []
        for page in range(MOST_PAGES):
            reply: list[Any] = await self._trips.run(name, list, (), (limit, page * limit, *more))
            jobs += self._jobs(reply)
            if len(jobs) >= limit or len(reply) <= limit:
                break
        return jobs[:limit]

    async def changes(self, after: str | None, timeout: float, along: Sequence[str] = ()) -> Changes:
        self._trips.check_process()
        return await self._waiting.changes(after, timeout, along)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        self._trips.check_process()
        await self._waiting.wake(queues, timeout)

    def _jobs(self, reply: list[Any]) -> list[Job]:
        """Jobs from a reply of the time, then ids with their fields; without those whose record is gone."""
        return self._readable.all(_job, reply[1:])

    def _places(self, reply: list[Any]) -> list[tuple[Place, Job | None]]:
        """Jobs with their places from a reply of the time, then scores, ids and fields."""
        return [
            (Place(int(score), text(id)), self._readable.one(_job, (id, fields))) for score, id, fields in reply[1:]
        ]

    # Housekeeping.

    async def delete(self, ids: Sequence[str]) -> list[Job | None]:
        def read(batch: Sequence[str], reply: list[Any]) -> list[Job | None]:
            return [decode(id, fields) if fields else None for id, fields in zip(batch, reply[1:], strict=True)]

        answers: list[Job | None] = []
        for at in range(0, len(ids), BATCH):
            batch = ids[at : at + BATCH]
            answers += await self._trips.run("delete", partial(read, batch), (), batch)
        return answers

    async def purge(self, limit: int) -> int:
        removed = 0
        while removed < limit:
            batch = min(limit - removed, BATCH)
            count: int = await self._trips.run("purge", lambda reply: reply[1], (), [batch])
            removed += count
            if count < batch:
                break
        return removed

    async def check(self) -> list[Finding]:
        self._trips.check_process()
        return await checker.check(self._check_link, self._keys, self._time.given())

    async def repair(self) -> None:
        self._trips.check_process()
        await checker.check(self._check_link, self._keys, self._time.given(), repair=True)

    async def health(self) -> Health:
        def read(reply: list[Any]) -> None:
            if int(reply[1]) != reply[0]:
                raise StoreBroken(f"Redis returned {reply[1]!r} for {reply[0]} that was just written")

        await self._trips.run("health", read, [self._keys.health])
        facts = await server.inspect(self._check_link)
        return Health(backend=facts.backend, durability=facts.durability, durable=facts.durable)


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _job(row: tuple[bytes, list[bytes]]) -> Job | None:
    """From an id and its fields."""
    id, fields = row
    return decode(text(id), fields)
