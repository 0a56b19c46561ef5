"""A thread with a connection of its own, and the group commit in front of it: the event loop hands groups over and
never waits for the disk. A store has two lanes, one that writes and one that reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, Protocol, TypeVar

from async_job.errors import StoreUnavailable
from async_job.store.group_commit import GroupCommit, Request
from async_job.store.protocol import BATCH

STUCK: Final = 15.0
"""After so many seconds callers hear that the store is away. What they asked may still happen, once."""


class Desk(Protocol):
    """What answers in the thread: the writer or the reader."""

    def execute(self, group: Sequence[Request]) -> list[Any]:
        """One answer a request, in order: its value, or the error that it alone gets."""
        ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Desk)


class Lane(Generic[D]):
    """``answered(desk)`` is called in the event loop after each group."""

    def __init__(self, name: str, answered: Callable[[D], None] | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"async-job-sqlite-{name}")
        self._commit = GroupCommit(self._execute, BATCH)
        self._answered = answered
        self._desk: D | None = None

    async def open(self, make: Callable[[], D]) -> None:
        """Makes the desk in its thread."""
        try:
            self._desk = await asyncio.get_running_loop().run_in_executor(self._thread, make)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def call(self, method: str, argument: Any, items: int = 1) -> Any:
        return await self._commit.call(method, argument, items)

    async def _execute(self, group: Sequence[Request]) -> None:
        desk = self._desk
        assert desk is not None
        try:
            async with asyncio.timeout(STUCK):
                answers = await asyncio.get_running_loop().run_in_executor(self._thread, desk.execute, group)
        except TimeoutError:
            raise StoreUnavailable(f"the store has not answered for {STUCK:.0f} s: another process holds it") from None
        for request, answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                request.fail(answer)
            else:
                request.answer(answer)
        if self._answered is not None:
            self._answered(desk)

    def post(self, work: Callable[[], None]) -> None:
        """Has something done in the thread before the next group; nobody waits for it."""
        self._thread.submit(work)

    async def close(self) -> None:
        """Answers what waits, then closes the desk in its thread."""
        await self._commit.close()
        if self._desk is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._desk.close)
        self._thread.shutdown(wait=False)
