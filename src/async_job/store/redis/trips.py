"""From calls to trips: what many callers ask for at the same time goes to the server together."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from async_job.errors import ForkError, StoreUnavailable
from async_job.store.codec import LogLimits
from async_job.store.group_commit import GroupCommit, Request
from async_job.store.redis import scripts, transitions
from async_job.store.redis.group import Batch, each, merge, single
from async_job.store.redis.keys import Keys
from async_job.store.redis.link import Command, Link
from async_job.store.redis.record import Field, decode
from async_job.store.redis.server_time import ServerTime


class Trips:
    """At most two groups in flight, over one link: while the server works on one, this process does on the other.
    Works only in the process that opened it."""

    def __init__(self, link: Link, keys: Keys, time: ServerTime, log_limits: LogLimits) -> None:
        self._link = link
        self._keys = keys
        self._time = time
        self._log_limits = log_limits
        self._group = GroupCommit(self._execute, in_flight=2)
        self._process = 0

    def open(self) -> None:
        self._process = os.getpid()

    async def close(self) -> None:
        """Lets everything that waits go through."""
        await self._group.close()

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process opened it, so that nothing of it may be touched here."""
        return self._process not in (0, os.getpid())

    def check_process(self) -> None:
        """Raises ``ForkError`` in another process than the one that opened it."""
        if self._process != os.getpid():
            if not self._process:
                raise StoreUnavailable("the store is not open: call open() first")
            raise ForkError("this store was opened in another process: open one of its own after the fork")

    def script(self, name: str, keys: Sequence[Field] = (), arguments: Iterable[Field] = ()) -> tuple[Field, ...]:
        """The command that runs a script, at the store's time."""
        return scripts.call(name, self._keys, self._time.given(), keys, arguments)

    def send(self, method: str, items: Sequence[Any], contents: Sequence[bytes] = ()) -> Awaitable[list[Any]]:
        """The answers to the items of ``submit``, ``apply``, ``report`` or ``get``; ``contents`` are weighed."""
        self.check_process()
        return self._group.call_each(method, items, contents)

    async def run(
        self,
        name: str,
        read: Callable[[list[Any]], Any],
        keys: Sequence[Field] = (),
        arguments: Sequence[Field] = (),
        items: int = 1,
    ) -> Any:
        """Runs a script and reads its reply. All our scripts answer with the server's time first."""
        return await self._single(name, self.script(name, keys, arguments), self._timed(read), items)

    async def command(self, *arguments: Field) -> Any:
        """The reply to a plain command."""
        return await self._single("command", arguments, lambda reply: reply)

    async def _single(self, method: str, command: tuple[Field, ...], read: Callable[[Any], Any], items: int = 1) -> Any:
        self.check_process()
        return await self._group.call(method, (command, read), items)

    async def _execute(self, group: Sequence[Request]) -> None:
        """One group, one trip, in this order: what goes on, what was, what is new, what is next, and reads."""
        by_method: dict[str, list[Request]] = defaultdict(list)
        for request in group:
            by_method[request.method].append(request)
        commands: list[Command] = []
        for method, (draft, read) in transitions.METHODS.items():
            if method in by_method:
                declared = transitions.Declared(self._keys, self._log_limits)
                batches = list(merge(by_method.pop(method), partial(draft, declared), read))
                commands += [self._batched(method, declared, batch) for batch in batches]
        commands += map(single, by_method.pop("claim", ()))
        reads = by_method.pop("get", ())
        for requests in by_method.values():
            commands += map(single, requests)
        for request in reads:
            commands += each(request, [("HGETALL", self._keys.job(id)) for id in request.argument], decode)
        await self._link.exchange(commands)

    def _batched(self, method: str, declared: transitions.Declared, batch: Batch) -> Command:
        arguments = chain((len(batch.drafts),), *batch.drafts.values())
        return Command(
            self.script(method, tuple(declared), arguments),
            self._timed(lambda reply: batch.settle(reply[1:])),
            batch.fail,
        )

    def _timed(self, read: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
        def read_timed(reply: list[Any]) -> Any:
            self._time.seen(reply[0], self._link.sent_at)
            return read(reply)

        return read_timed
