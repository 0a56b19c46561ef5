"""Group commit: callers that arrive while a write is in flight share the next one.

Nobody waits for a timer. An idle store answers at once; a busy one is asked in groups that grow by themselves,
because everything that arrives while it is busy goes with the next trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, Final, cast

from msgspec import Struct

from async_job.core.job import Change
from async_job.errors import AsyncJobError, StoreBroken, StoreUnavailable

ITEM_BYTES: Final = 4096
"""So many bytes count as one more item: a group of large jobs, too, has an end, at about 1 MiB."""

MANY: Final = 32
"""So many callers or more go in two halves, where two groups may be in flight and none is."""


def weight(items: int, contents: Sequence[bytes]) -> int:
    """For how many items a call counts, with the contents (inputs, results) of these."""
    return items + sum(map(len, contents)) // ITEM_BYTES


def results(changes: Sequence[Change]) -> list[bytes]:
    """The result that each change writes; empty where there is none."""
    # Every outcome comes by here, and `get` would be one more call for each.
    return [change.fields["result"] if "result" in change.fields else b"" for change in changes]  # noqa: SIM401


class Request(Struct, eq=False):
    """One caller's call of one store method, on its way. ``items`` is how much it adds to the group; ``answers`` are
    what its items have got so far, where they are answered one by one."""

    method: str
    argument: Any
    items: int
    future: asyncio.Future[Any]
    answers: list[Any] = []

    def answer(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


async def _joined(batches: Sequence[asyncio.Future[list[Any]]]) -> list[Any]:
    return list(chain.from_iterable(await asyncio.gather(*batches)))


class GroupCommit:
    """Collects requests and hands them to ``execute`` in groups, at most ``in_flight`` of them at a time. With two,
    the callers work while the store does; groups then start in order, and may be answered in another.

    ``execute(group)`` answers or fails every request of the group; what it leaves open, or raises, fails the rest.
    A caller that is cancelled stops waiting; its request goes on.
    """

    def __init__(
        self, execute: Callable[[Sequence[Request]], Awaitable[None]], most_items: int = 256, in_flight: int = 1
    ) -> None:
        self._execute = execute
        self._most_items = most_items
        self._in_flight = in_flight
        self._waiting: list[Request] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def call(self, method: str, argument: Any, items: int = 1) -> asyncio.Future[Any]:
        """Sends the request with the next group; the future gets its answer. Raises ``StoreUnavailable``: closed."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._waiting and len(self._tasks) < self._in_flight:
            # Whoever else calls before it has begun goes with the same group.
            self._start()
        self._waiting.append(Request(method, argument, items, future))
        return future

    def call_each(self, method: str, items: Sequence[Any], contents: Sequence[bytes] = ()) -> Awaitable[list[Any]]:
        """One answer for each of the items, which go in batches that are sent at once and done in order. ``contents``:
        one an item, to be weighed."""
        if 0 < len(items) <= self._most_items:
            return self.call(method, items, weight(len(items), contents))
        batches = [slice(start, start + self._most_items) for start in range(0, len(items), self._most_items)]
        return _joined([self.call(method, items[one], weight(len(items[one]), contents[one])) for one in batches])

    def _start(self) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(self._run()))

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                if self._waiting and len(self._tasks) < self._in_flight:
                    self._start()
                try:
                    await self._execute(group)
                except AsyncJobError as error:
                    self._fail(group, error)
                except Exception as error:  # noqa: BLE001 - it is handed to every caller of the group
                    broken = StoreBroken(f"the store failed in an unforeseen way: {error!r}")
                    broken.__cause__ = error
                    self._fail(group, broken)
                finally:
                    self._fail(group, StoreUnavailable("the store was closed before it answered"))
        finally:
            self._tasks.discard(cast(asyncio.Task[None], asyncio.current_task()))
            if not self._tasks:
                # Empty, unless the task was cancelled with callers left.
                self._fail(self._waiting, StoreUnavailable("the store was closed before it answered"))
                self._waiting = []

    def _next_group(self) -> list[Request]:
        items, most = 0, len(self._waiting)
        if most >= MANY and len(self._tasks) < self._in_flight:
            # Callers that come again all at once would work while the store rests, and the other way round.
            most //= 2
        for taken, request in enumerate(self._waiting):
            items += request.items
            if taken and (items > self._most_items or taken == most):
                group, self._waiting = self._waiting[:taken], self._waiting[taken:]
                return group
        group, self._waiting = self._waiting, []
        return group

    @staticmethod
    def _fail(group: Sequence[Request], error: BaseException) -> None:
        for request in group:
            request.fail(error)

    async def close(self) -> None:
        """Lets everything that waits go through, then refuses what comes."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
