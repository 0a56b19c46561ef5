"""A thread with a connection of its own, and the group commit in front of it: the event loop hands groups over and
never waits for the disk. A store has two lanes, one that writes and one that reads."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, Protocol, TypeVar

from async_job.errors import StoreUnavailable
from async_job.store.group_commit import GroupCommit, Request
from async_job.store.protocol import BATCH

STUCK: Final = 15.0
"""After so many seconds callers hear that the store is away. What they asked may still happen, once."""


REST: Final = 1.0
"""Seconds for which a fork waits for what is going on, which may be waiting for another process."""

Methods = dict[str, Callable[[Any], Any]]
"""What a desk does, by the names that it is asked by."""
Call = Callable[..., Awaitable[Any]]
"""Asks a desk: by the name of the method, with its argument, and perhaps for how many items it counts."""


class Desk(Protocol):
    """What answers in the thread: the writer or the reader."""

    def execute(self, group: Sequence[Request]) -> list[Any]:
        """One answer a request, in order: its value, or the error that it alone gets."""
        ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Desk)
T = TypeVar("T")


class Lane(Generic[D]):
    """``answered(desk)`` is called in the event loop after each group.

    The thread and its inbox are bare ones: an executor takes three times as long to hand a group over and back, which
    is as long as half a commit. The thread is a daemon, because a store that nobody closed must not keep its process.
    """

    def __init__(self, name: str, answered: Callable[[D], None] | None = None) -> None:
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"async-job-sqlite-{name}", daemon=True)
        self._commit = GroupCommit(self._execute, BATCH)
        self._answered = answered
        self._desk: D | None = None
        # A fork copies the locks within SQLite as they are, and no thread that would let go of them.
        self.at_work = Lock()
        self.resting = False
        itself = weakref.ref(self)
        os.register_at_fork(
            before=lambda: _rest(itself()),
            after_in_parent=lambda: _go_on(itself()),
            after_in_child=lambda: _go_on(itself()),
        )

    def _work(self) -> None:
        while (work := self._inbox.get()) is not None:
            with self.at_work:
                work()

    async def open(self, make: Callable[[], D]) -> None:
        """Makes the desk in its thread."""
        self._thread.start()
        self._desk = await self._in_thread(make)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._inbox.put(partial(_do, work, future, loop))
        try:
            async with asyncio.timeout(STUCK):
                return await future
        except TimeoutError:
            raise StoreUnavailable(f"the store has not answered for {STUCK:.0f} s: another process holds it") from None

    def call(self, method: str, argument: Any, items: int = 1) -> asyncio.Future[Any]:
        return self._commit.call(method, argument, items)

    def call_each(self, method: str, items: Sequence[Any], contents: Sequence[bytes]) -> Awaitable[list[Any]]:
        """In batches, see ``GroupCommit``."""
        return self._commit.call_each(method, items, contents)

    async def _execute(self, group: Sequence[Request]) -> None:
        desk = self._desk
        assert desk is not None
        answers = await self._in_thread(partial(desk.execute, group))
        for request, answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                request.fail(answer)
            else:
                request.answer(answer)
        if self._answered is not None:
            self._answered(desk)

    def post(self, work: Callable[[], None]) -> None:
        """Has something done in the thread before the next group; nobody waits for it."""
        self._inbox.put(work)

    async def close(self) -> None:
        """Answers what waits, then closes the desk in its thread."""
        await self._commit.close()
        try:
            if self._desk is not None:
                await self._in_thread(self._desk.close)
        finally:
            self._inbox.put(None)


def _rest(lane: Lane[Any] | None) -> None:
    if lane is not None:
        lane.resting = lane.at_work.acquire(timeout=REST)


def _go_on(lane: Lane[Any] | None) -> None:
    if lane is not None and lane.resting:
        lane.resting = False
        lane.at_work.release()


def _do(work: Callable[[], T], future: asyncio.Future[T], loop: asyncio.AbstractEventLoop) -> None:
    """In the thread: does the work, unless nobody waits for it any more, and hands over what came of it."""
    if future.cancelled():
        return
    settle: Callable[[], None]
    try:
        settle = partial(future.set_result, work())
    except BaseException as error:  # noqa: BLE001 - it is raised again where the work is awaited
        settle = partial(future.set_exception, error)
    with suppress(RuntimeError):  # the loop was closed without the store, so nobody waits
        loop.call_soon_threadsafe(_settle, future, settle)


def _settle(future: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not future.done():
        settle()
