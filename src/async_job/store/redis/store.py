"""The store on Redis ≥ 7.0 or Valkey ≥ 8: hashes, sorted sets, and one script for each transition."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from async_job.clock import Clock, SystemClock
from async_job.core.job import Change, Job, LogLine, State
from async_job.errors import ForkError, StoreBroken, StoreUnavailable
from async_job.store import codec
from async_job.store.group_commit import GroupCommit, Request
from async_job.store.protocol import (
    BATCH,
    Answer,
    Beat,
    Changes,
    Claimed,
    ClaimId,
    Counts,
    Finding,
    Health,
    Stale,
    Submitted,
    Worker,
)
from async_job.store.redis import checker, scripts, server, transitions
from async_job.store.redis.connection_string import parse
from async_job.store.redis.connections import Connections
from async_job.store.redis.group import each, merge, single
from async_job.store.redis.keys import DEFAULT_NAMESPACE, Keys
from async_job.store.redis.link import Command, Link
from async_job.store.redis.record import Field, decode, text
from async_job.store.redis.server_time import ServerTime
from async_job.store.redis.waiting import WaitingReads

FORGET_LAPSED: Final = 3_600_000
PATIENCE: Final = 3.0

logger = logging.getLogger(__name__)


class RedisStore:
    """See ``store.protocol.Store`` for what each method promises.

    Calls of many callers share a trip (``GroupCommit``); leases are renewed on a connection of their own, and so is
    every read that waits. ``patience``: for how many seconds a call is repeated before ``StoreUnavailable``.
    ``allow_eviction``: use a server that may throw jobs away when its memory is full.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        allow_eviction: bool = False,
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
        self._group = GroupCommit(self._execute)
        self._process = 0

    def now(self) -> int:
        return self._time.now()

    async def open(self) -> None:
        self._process = os.getpid()
        for warning in self._address.warnings:
            logger.warning("%s", warning)
        try:
            facts = await server.inspect(self._link)
            server.demand(facts, self._allow_eviction)
            await server.claim_schema(self._link, self._keys)
            await self._link.ask(*scripts.LOAD)
            # Any script tells the server's time.
            await self.counts()
        except BaseException:
            await self._link.close()
            raise
        logger.info("store %r: %s; %s", self._address, facts.backend, facts.durability)

    async def close(self) -> None:
        if self._process not in (0, os.getpid()):
            return
        await self._group.close()
        await self._waiting.close()
        for link in (self._link, self._lease_link, self._check_link):
            await link.close()
        await self._connections.close()

    # What goes in groups.

    async def submit(self, jobs: Sequence[Job]) -> list[Submitted]:
        answers: list[Submitted] = await self._send("submit", jobs)
        return answers

    async def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        answers: list[Job | Stale] = await self._send("apply", changes)
        return answers

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        answers: list[Answer] = await self._send("report", beats)
        return answers

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        answers: list[Job | None] = await self._send("get", ids)
        return answers

    async def claim(self, claim_id: ClaimId, queues: Sequence[str], limit: int) -> Claimed:
        command = transitions.claim(self._keys, self._time.given(), claim_id, queues, min(limit, BATCH))
        read = partial(transitions.claimed, claim_id)
        claimed: Claimed = await self._run("claim", command, read, limit)
        return claimed

    async def _send(self, method: str, items: Sequence[Any]) -> Any:
        self._stay_in_process()
        return await self._group.call(method, items, len(items)) if items else []

    async def _run(self, name: str, command: tuple[Field, ...], read: Callable[[Any], Any], items: int = 1) -> Any:
        """Sends one command with the next group. All our scripts answer with the server's time first."""
        self._stay_in_process()
        return await self._group.call(name, (command, self._timed(read)), items)

    async def _execute(self, group: Sequence[Request]) -> None:
        """One group, one trip, in this order: what was, what is new, what goes on, what is next, and reads."""
        by_method: dict[str, list[Request]] = defaultdict(list)
        for request in group:
            by_method[request.method].append(request)
        keys, now = self._keys, self._time.given()
        commands: list[Command] = []
        for name, draft, build, read in (
            ("apply", transitions.draft_change, transitions.apply, transitions.applied),
            ("submit", transitions.draft_job, transitions.submit, transitions.submitted),
            ("report", transitions.draft_beat, transitions.report, transitions.reported),
        ):
            if name in by_method:
                commands += merge(by_method.pop(name), draft, *self._bound(build, read, keys, now))
        commands += map(single, by_method.pop("claim", ()))
        reads = by_method.pop("get", ())
        for requests in by_method.values():
            commands += map(single, requests)
        for request in reads:
            commands += each(request, [("HGETALL", keys.job(id)) for id in request.argument], decode)
        await self._link.exchange(commands)

    def _bound(self, build: Any, read: Any, keys: Keys, now: int | None) -> tuple[Any, Any]:
        def read_timed(items: list[Any], reply: list[Any]) -> Any:
            self._time.seen(reply[0], self._link.sent_at)
            return read(items, reply[1:])

        return lambda items: build(keys, now, items), read_timed

    def _timed(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def read_timed(reply: list[Any]) -> Any:
            self._time.seen(reply[0], self._link.sent_at)
            return read(reply)

        return read_timed

    def _stay_in_process(self) -> None:
        if self._process != os.getpid():
            if not self._process:
                raise StoreUnavailable("the store is not open: call open() first")
            raise ForkError("this store was opened in another process: open one of its own after the fork")

    # Leases, on a connection of their own.

    async def enroll(self, worker: Worker, lease: int) -> None:
        self._stay_in_process()
        who: list[Field] = ["host", worker.host, "pid", worker.pid, "started_at", worker.started_at]
        who += ("queues", codec.encode(worker.queues), "concurrency", worker.concurrency, "version", worker.version)
        command = self._script("enroll", [self._keys.worker(worker.id)], (worker.id, lease, *who))
        await self._lease_link.ask(command)

    async def extend(self, workers: Sequence[str], lease: int) -> list[bool]:
        self._stay_in_process()
        [[now, *held]] = await self._lease_link.ask(self._script("extend", (), (lease, *workers)))
        self._time.seen(now, self._lease_link.sent_at)
        return [bool(one) for one in held]

    async def retire(self, worker: str) -> list[Job]:
        command = self._script("retire", [self._keys.claims(worker)], [worker])
        jobs: list[Job] = await self._run("retire", command, _jobs)
        return jobs

    # Reads and housekeeping.

    async def log(self, id: str, after: int = 0) -> list[LogLine]:
        self._stay_in_process()
        command: tuple[Field, ...] = ("LRANGE", self._keys.log(id), after, -1)
        lines: list[bytes] = await self._group.call("log", (command, lambda reply: reply))
        return [codec.decode_log_line(line) for line in lines]

    async def counts(self) -> Counts:
        def read(reply: list[Any]) -> Counts:
            states = dict.fromkeys(State, 0) | {State(name.decode()): n for name, n in _pairs(reply[1])}
            queued = {text(name): n for name, n in _pairs(reply[2]) if n}
            return Counts(states | {State.QUEUED: sum(queued.values())}, queued)

        counts: Counts = await self._run("counts", self._script("counts"), read)
        return counts

    async def rescuable(self, limit: int) -> list[Job]:
        command = self._script("rescuable", (), (min(limit, BATCH), FORGET_LAPSED))
        jobs: list[Job] = await self._run("rescuable", command, _jobs)
        return jobs

    async def overdue(self, limit: int) -> list[Job]:
        jobs: list[Job] = await self._run("overdue", self._script("overdue", (), [min(limit, BATCH)]), _jobs)
        return jobs

    async def purge(self, limit: int) -> int:
        removed = 0
        while removed < limit:
            batch = min(limit - removed, BATCH)
            count: int = await self._run("purge", self._script("purge", (), [batch]), lambda reply: reply[1])
            removed += count
            if count < batch:
                break
        return removed

    async def changes(self, after: str | None, timeout: float) -> Changes:
        self._stay_in_process()
        return await self._waiting.changes(after, timeout)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        self._stay_in_process()
        await self._waiting.wake(queues, timeout)

    async def check(self) -> list[Finding]:
        self._stay_in_process()
        return await checker.check(self._check_link, self._keys, self._time.given())

    async def health(self) -> Health:
        def read(reply: list[Any]) -> None:
            if int(reply[1]) != reply[0]:
                raise StoreBroken(f"Redis returned {reply[1]!r} for {reply[0]} that was just written")

        await self._run("health", self._script("health", [self._keys.health]), read)
        facts = await server.inspect(self._check_link)
        return Health(backend=facts.backend, durability=facts.durability, durable=facts.durable)

    def _script(self, name: str, more_keys: Sequence[Field] = (), arguments: Sequence[Field] = ()) -> tuple[Field, ...]:
        return scripts.call(name, self._keys, self._time.given(), more_keys, arguments)


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _jobs(reply: list[Any]) -> list[Job]:
    """Jobs from a reply of the time, then ids with their fields; without those whose record is gone."""
    jobs = [decode(text(id), fields) for id, fields in reply[1:]]
    return [job for job in jobs if job is not None]
